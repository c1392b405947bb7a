"""All points of a sweep tried once: here one after the other, or through a launcher."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import Progress

from promise.pipeline.attempts import Attempt, Failures, attempt
from promise.pipeline.grid import SweepPoint
from promise.pipeline.launching import launch
from promise.pipeline.plan import Planned, first_of_each, plan, refusing
from promise.pipeline.points import Point, PointResult
from promise.pipeline.sharing import Pipelines
from promise.pipeline.stages import Pipeline
from promise.pipeline.store import NotBuilt

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
            tried = attempt(point, pipelines.of(point.cfg))
            done.tried.append((point, tried))
            if tried.result:
                tell(point, tried.result)
            bar.advance(task)
    done.built = list(dict.fromkeys([*built, *pipelines.built]))
    return done


def tell(point: SweepPoint, result: PointResult) -> None:
    """One line in the log per row."""
    state = "" if result.searched else " (was there)"
    log.info("%s: recall@10 %s%s", point.name, result.row["recall@10"], state)


def launched(points: Sequence[SweepPoint], built: Sequence[str]) -> Round:
    """Hand the points that are not there to the launcher, then collect all of them from the store.

    One point of each missing network goes first, so that no worker waits for another one's training.

    Args:
        points: The points.
        built: Stages that were built before.
    """
    plans = plan(points)
    first = first_of_each(plans)
    rest = [each.point for each in plans if each.state == "to run" and each.point not in first]
    for jobs, number in ((first, 0), (rest, len(first))):
        if jobs:
            launch(jobs, number)
    pipelines, done = Pipelines(), Round()
    done.tried = [(each.point, collected(each, pipelines.of(refusing(each.point.cfg)))) for each in plans]
    after = {network.key for each in plan(points) for network in each.networks if network.there}
    trained = {network.key: network.name for each in plans for network in each.networks if not network.there}
    done.built = list(dict.fromkeys([*built, *(name for key, name in trained.items() if key in after)]))
    return done


def collected(planned: Planned, pipeline: Pipeline) -> Attempt:
    """What a job left of a point, or what was there before, through a pipeline that builds nothing."""
    point = planned.point
    if planned.state == "failed":
        log.warning("point %s failed earlier: %s (retry_failed=true tries it again)", point.name, planned.error)
        return Attempt(None, planned.error, earlier=True)
    try:
        found = Point(pipeline, point.cfg.search, point.chosen).find()
    except NotBuilt:
        found = None
    if found is None:
        error = Failures(point.cfg.store).find(point.cfg) or "its job ended without a row"
        log.error("point %s failed: %s", point.name, error)
        return Attempt(None, error, earlier=False)
    result = PointResult(found.row, found.ranks, found.path, searched=planned.state == "to run")
    tell(point, result)
    return Attempt(result, None, earlier=False)
