"""Runs the points of a sweep that are missing, here or through a launcher, and collects the outcome of all."""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import Progress

from promise.experiments.grid import SweepPoint
from promise.experiments.launchers import in_this_process, launch
from promise.experiments.pipelines import Pipelines, pipeline_key
from promise.experiments.point_outcome import Failure, PointOutcome, failed, failed_before, point_outcome, succeeded
from promise.pipeline.points import Point, PointResult
from promise.pipeline.stages import Pipeline
from promise.pipeline.store import NotBuilt, Store

log = logging.getLogger(__name__)


def run_points(points: Sequence[SweepPoint], name: str, built: Sequence[str]) -> tuple[list[PointOutcome], list[str]]:
    """Run what is missing; within a Hydra app.

    Args:
        points: The points.
        name: Name of the sweep, for the progress bar.
        built: Stages that were built before.

    Returns:
        Every point's outcome, in their order, and the names of the stages that were built, each once.
    """
    return run_here(points, name, built) if in_this_process() else run_launched(points, built)


def run_here(points: Sequence[SweepPoint], name: str, built: Sequence[str]) -> tuple[list[PointOutcome], list[str]]:
    """`run_points` one after the other in this process."""
    pipelines, outcomes = Pipelines(), []
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"sweep {name}", total=len(points))
        for point in points:
            bar.update(task, description=point.name)
            outcomes.append(point_outcome(point, pipelines.of(point.cfg)))
            bar.advance(task)
    return outcomes, list(dict.fromkeys([*built, *pipelines.built]))


def run_launched(points: Sequence[SweepPoint], built: Sequence[str]) -> tuple[list[PointOutcome], list[str]]:
    """`run_points` as jobs of a launcher; of points that need the same training one goes first, so that none waits."""
    store = Store(Path(points[0].cfg.store) / "artifacts")
    before = {row.key for row in store.ls() if row.complete}
    pipelines = Pipelines()
    states = [point_state(point, pipelines.of(refusing(point.cfg))) for point in points]
    to_run = [point for point, state in zip(points, states, strict=True) if state in ("untrained", "to run")]
    leading: dict[str, SweepPoint] = {}
    for point, state in zip(points, states, strict=True):
        if state == "untrained":
            leading.setdefault(pipeline_key(point.cfg), point)
    first = list(leading.values())
    rest = [point for point in to_run if not any(point is other for other in first)]
    for jobs, number in ((first, 0), (rest, len(first))):
        if jobs:
            launch(jobs, number)
    pipelines = Pipelines()  # what is there now
    outcomes = [
        collected(point, state, pipelines.of(refusing(point.cfg))) for point, state in zip(points, states, strict=True)
    ]
    made = sorted({row.key for row in store.ls() if row.complete} - before)
    return outcomes, list(dict.fromkeys([*built, *(key.rpartition("-")[0] for key in made)]))


def refusing(cfg: DictConfig) -> DictConfig:
    """The config with `build=never`."""
    changed = OmegaConf.merge(cfg, {"build": "never"})
    assert isinstance(changed, DictConfig)
    return changed


def point_state(point: SweepPoint, pipeline: Pipeline) -> str:
    """`there` (its row is), `failed` (earlier, and not to be tried again), `untrained` or `to run`.

    Args:
        point: The point.
        pipeline: One of its config that builds nothing.
    """
    if Failure(point).error is not None:
        return "failed"
    try:
        return "there" if Point(pipeline, point.cfg.search, point.chosen).find() else "to run"
    except NotBuilt:
        return "untrained"
    except ValueError:  # the point is wrong, which running it will tell
        return "to run"


def collected(point: SweepPoint, state: str, pipeline: Pipeline) -> PointOutcome:
    """The outcome that a job left of a point, or that was there before.

    Args:
        point: The point.
        state: As `point_state` gave it before the jobs.
        pipeline: One of its config that builds nothing.
    """
    if state == "failed":
        return failed_before(point, str(Failure(point).error))
    found: PointResult | None = None
    with contextlib.suppress(ValueError):  # not trained, or wrong: its job has told
        found = Point(pipeline, point.cfg.search, point.chosen).find()
    if found is not None:
        return succeeded(point, pipeline, replace(found, searched=state != "there"))
    retried = SweepPoint(point.overrides, OmegaConf.merge(point.cfg, {"retry_failed": False}), point.chosen)  # type: ignore[arg-type]
    error = Failure(retried).error or "its job ended without a row"
    log.error("point %s failed: %s", point.name, error)
    return failed(point, error)
