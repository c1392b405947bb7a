"""Runs the points of a sweep that are missing, here or through a launcher, or shows what would be run."""

import logging
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import configure_log
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import Progress

from promise.experiments.grid import SweepPoint
from promise.experiments.point_outcome import Failure, Pipelines, PointOutcome, failed, point_outcome
from promise.pipeline.config import without_passwords
from promise.pipeline.errors import own_words
from promise.pipeline.points import Point
from promise.pipeline.store import NotBuilt, Store
from promise.pipeline.verb import choices, config_folder, show

log = logging.getLogger(__name__)

#: Pipelines that the jobs of one worker process share.
PIPELINES = Pipelines()


def run_points(points: Sequence[SweepPoint], name: str, built: Sequence[str]) -> tuple[list[PointOutcome], list[str]]:
    """Every point's outcome, in their order, and the stages that were built, each once; within a Hydra app."""
    if not in_this_process():
        return run_launched(points, built)
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
    """`there`, `to run`, `would fail` or `failed earlier`, and what a point lacks or its error; nothing is built."""
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


def dry_run(points: Sequence[SweepPoint]) -> dict[str, Any]:
    """Show and return the state of some points; nothing is built or trained; within a Hydra app."""
    pipelines = Pipelines()
    trainings: dict[str, str] = {}
    states = {"to run": "to_run", "there": "there", "failed earlier": "failed_earlier"}
    rows: list[dict[str, Any]] = []
    for point in points:
        state, why = point_state(point, pipelines)
        missing = why.key if isinstance(why, NotBuilt) else None
        if isinstance(why, NotBuilt) and why.training is not None:
            networks = filter(None, why.training.networks().values())
            size = sum(p.numel() for network in networks for p in network.parameters())
            trainings[why.key] = f"training {why.training.name}: {size:,} parameters"
        error = why if isinstance(why, str) else None
        rows.append({"point": point.overrides, "state": state, "missing": missing, "error": error})
    cells = [[" ".join(row["point"]), row["state"], row["missing"] or row["error"]] for row in rows]
    show("Points", ["", "state", "first missing, or error"], cells)
    if trainings:
        show("Trainings", ["missing", ""], list(trainings.items()))
    to_run = [row for row in rows if row["state"] == "to run"]
    early = any(row["missing"] not in (None, *trainings) for row in to_run)  # which networks, their IDs will tell
    more = ", others not known before promise prepare has made data and IDs" if early else ""
    print(f"\npoints to run: {len(to_run)} of {len(rows)}; trainings that come first: {len(trainings)}{more}")
    given = [word for word in HydraConfig.get().overrides.task if not word.startswith(("dry_run=", "launcher="))]
    begin = ["promise", "evaluate", *config_folder(), *without_passwords(given)]
    commands = [shlex.join([*begin, *row["point"]]) for row in to_run]
    return {
        "verb": "sweep",
        "dry_run": True,
        "points": len(rows),
        **{name: sum(row["state"] == state for row in rows) for state, name in states.items()},
        "trainings": trainings or (None if early else {}),
        "plan": rows,
        "commands": commands,
    }


def in_this_process() -> bool:
    """Whether the launcher chosen is Hydra's own, which runs one job after the other here."""
    return str(HydraConfig.get().launcher["_target_"]).endswith(".BasicLauncher")


def launch(points: Sequence[SweepPoint]) -> None:
    """Run points through the launcher that the config chose, and wait for them; within a Hydra app.

    A worker that dies takes none of the other points' rows with it: they are in the store.
    """
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    own = HydraConfig.get()
    given = list(own.overrides.task)
    words = [*own.overrides.hydra, *given]
    config = hydra.compose_config("config", words, run_mode=RunMode.MULTIRUN, with_log_configuration=False)
    context = HydraContext(hydra.config_loader, Callbacks(config))
    launcher = Plugins.instance().instantiate_launcher(context, partial(run_job, len(given)), config)
    try:
        jobs = launcher.launch([[*given, *point.overrides] for point in points], initial_job_idx=0)
        for point, job in zip(points, jobs, strict=True):
            if isinstance(job._return_value, BaseException):
                log.error("the job of point %s ended: %s", point.name, own_words(job._return_value))
    except Exception as error:  # each launcher has its own for a worker that died
        log.error("the launcher ended: %s: %s", type(error).__name__, own_words(error))
    finally:
        # Launchers leave their own logging behind; submitit even cuts off handlers that it does not know.
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler) and handler.baseFilename.startswith(own.runtime.output_dir):
                handler.close()
        configure_log(cast(DictConfig, own.job_logging), own.verbose)


def run_job(shared: int, cfg: DictConfig) -> str | None:
    """Run a point as a Hydra job; its first overrides, so many, all jobs share. Its error, or None: it has a row."""
    overrides = list(HydraConfig.get().overrides.task)[shared:]
    return point_outcome(SweepPoint(overrides, cfg, choices()), PIPELINES.of(cfg)).error
