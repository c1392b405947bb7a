"""All points of a sweep tried once: here one after the other, or through a launcher."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from promise.experiments.attempts import Attempt, Failure, attempt, tell
from promise.experiments.grid import SweepPoint
from promise.experiments.launching import launch
from promise.experiments.plan import Planned, first_of_each, plan, refusing
from promise.experiments.sharing import Pipelines
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline
from promise.pipeline.store import Store

log = logging.getLogger(__name__)


@dataclass
class Round:
    """What became of the points.

    Attributes:
        tried: Every point and what became of it, in their order.
        built: Names of the stages that were built, each once.
    """

    tried: list[tuple[SweepPoint, Attempt]] = field(default_factory=list)
    built: list[str] = field(default_factory=list)


def here(points: Sequence[SweepPoint], name: str, built: Sequence[str]) -> Round:
    """Try points in this process.

    Args:
        points: The points.
        name: Name of the sweep, for the progress bar.
        built: Stages that were built before.
    """
    pipelines, done = Pipelines(), Round()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"sweep {name}", total=len(points))
        for point in points:
            bar.update(task, description=point.name)
            done.tried.append((point, attempt(point, pipelines.of(point.cfg))))
            bar.advance(task)
    done.built = list(dict.fromkeys([*built, *pipelines.built]))
    return done


def launched(points: Sequence[SweepPoint], built: Sequence[str]) -> Round:
    """Hand the points that are not there to the launcher, then collect all of them from the store.

    One point of each missing network goes first, so that no worker waits for another one's training.

    Args:
        points: The points.
        built: Stages that were built before.
    """
    store = Store(Path(points[0].cfg.store) / "artifacts")
    before = {row.key for row in store.ls() if row.complete}
    plans = plan(points)
    first = first_of_each(plans)
    rest = [each.point for each in plans if each.state == "to run" and each.point not in first]
    for jobs, number in ((first, 0), (rest, len(first))):
        if jobs:
            launch(jobs, number)
    pipelines, done = Pipelines(), Round()
    done.tried = [(each.point, collected(each, pipelines.of(refusing(each.point.cfg)))) for each in plans]
    made = sorted({row.key for row in store.ls() if row.complete} - before)
    done.built = list(dict.fromkeys([*built, *(key.rpartition("-")[0] for key in made)]))
    return done


def collected(planned: Planned, pipeline: Pipeline) -> Attempt:
    """What a job left of a point, or what was there before, through a pipeline that builds nothing."""
    point = planned.point
    if planned.state == "failed":
        log.warning("point %s failed earlier: %s (retry_failed=true tries it again)", point.name, planned.error)
        return Attempt(None, planned.error, earlier=True)
    try:
        found = Point(pipeline, point.cfg.search, point.chosen).find()
    except ValueError:  # something before it is not there, or the point is wrong, which its job has told
        found = None
    if found is None:
        error = Failure(point.cfg).error or "its job ended without a row"
        log.error("point %s failed: %s", point.name, error)
        return Attempt(None, error, earlier=False)
    if planned.state == "there":
        tell(point, found)
    return Attempt(replace(found, searched=planned.state == "to run"), None, earlier=False)
