"""Runs the points of a sweep that are missing, here or through a launcher, and collects the outcome of all."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import Progress

from promise.experiments.grid import SweepPoint
from promise.experiments.launchers import in_this_process, launch
from promise.experiments.pipelines import Pipelines
from promise.experiments.point_outcome import Failure, PointOutcome, failed, point_outcome
from promise.pipeline.errors import own_words
from promise.pipeline.points import Point
from promise.pipeline.store import NotBuilt, Store

log = logging.getLogger(__name__)


def run_points(points: Sequence[SweepPoint], name: str, built: Sequence[str]) -> tuple[list[PointOutcome], list[str]]:
    """Run what is missing; within a Hydra app.

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
    """`run_points` as jobs of a launcher; jobs that need the same training wait for the one that does it."""
    store = Store(Path(points[0].cfg.store) / "artifacts")
    before = {row.key for row in store.ls() if row.complete}
    pipelines = Pipelines()
    states = [point_state(point, pipelines)[0] for point in points]
    if to_run := [point for point, state in zip(points, states, strict=True) if state in ("to run", "would fail")]:
        launch(to_run)
    outcomes, pipelines = [], Pipelines()  # what is there now
    for point, state in zip(points, states, strict=True):
        point = changed(point, build="never", retry_failed=False)
        if state != "failed earlier" and point_state(point, pipelines)[0] == "to run":
            log.error("point %s failed: its job ended without a row", point.name)
            outcomes.append(failed(point, "its job ended without a row"))
            continue
        outcome = point_outcome(point, pipelines.of(point.cfg))
        if outcome.result is not None and state != "there":
            outcome = replace(outcome, result=replace(outcome.result, searched=True))
        outcomes.append(outcome)
    made = sorted({row.key for row in store.ls() if row.complete} - before)
    return outcomes, list(dict.fromkeys([*built, *(key.rpartition("-")[0] for key in made)]))


def changed(point: SweepPoint, **values: Any) -> SweepPoint:
    """A point with other values of the root config."""
    return replace(point, cfg=cast(DictConfig, OmegaConf.merge(point.cfg, values)))


def point_state(point: SweepPoint, pipelines: Pipelines) -> tuple[str, NotBuilt | str | None]:
    """The state of a point, and what it lacks or its error; nothing is built.

    Returns:
        `there` (its row is), `to run`, `would fail`, or `failed earlier`, which is not to be tried again.
    """
    if (error := Failure(point).error) is not None:
        return "failed earlier", error
    refusing = changed(point, build="never")
    try:
        found = Point(pipelines.of(refusing.cfg), refusing.cfg.search, point.chosen).find()
    except NotBuilt as refusal:
        return "to run", refusal
    except ValueError as wrong:
        return "would fail", own_words(wrong)
    return "there" if found else "to run", None
