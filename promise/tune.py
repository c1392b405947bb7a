"""`promise sweep +sweeps=tune`: a study of Optuna's in place of grids, its trials run one after the other here."""

import logging
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from promise.experiments.sharing import Pipelines
from promise.experiments.tuning.loop import Asked, Launch, run_study
from promise.experiments.tuning.results import command, show_findings, write_study
from promise.experiments.tuning.settings import Settings
from promise.experiments.tuning.study import Study
from promise.experiments.tuning.trial_config import checked, shared
from promise.pipeline.config import plain
from promise.pipeline.errors import is_check, own_words, unwrapped
from promise.pipeline.points import Point
from promise.pipeline.store import file_fingerprint

log = logging.getLogger(__name__)


class Trials:
    """Runs trials in this process; networks that stay the same are loaded once.

    Args:
        given: Overrides of all trials.
        where: Name of the space in its config, for errors.

    Attributes:
        pipelines: What the trials share, and the stages that were built on the way.
    """

    def __init__(self, given: Sequence[str], where: str) -> None:
        self.given = list(given)
        self.where = where
        self.pipelines = Pipelines()

    def point(self, words: Sequence[str]) -> Point:
        """The point of a trial."""
        cfg, chosen = checked([*self.given, *words], self.where)
        return Point(self.pipelines.of(cfg), cfg.search, chosen)

    def row(self, words: Sequence[str]) -> dict[str, Any]:
        """The row of a trial, from the store or from a search made now."""
        return self.point(words).result()[0].row

    def launch(self, trials: Sequence[tuple[Asked, list[str]]]) -> list[dict[str, Any] | Exception]:
        """Rows of trials, or what they raised."""
        outcomes: list[dict[str, Any] | Exception] = []
        for _, words in trials:
            try:
                outcomes.append(self.row(words))
            except Exception as error:
                if not is_check(error):
                    log.error("%s", "".join(traceback.format_exception(error)))
                outcomes.append(error)
        return outcomes


def run(cfg: DictConfig) -> dict[str, Any]:
    """Run what is left of the study that `sweep.study` describes, then write what it found.

    Args:
        cfg: The root config.

    Raises:
        ValueError: If a dial, the space, or the storage is wrong: before any training.
    """
    if cfg.sweep.name is None:
        raise ValueError("sweep.name must be given: it names the folder of the results")
    settings = Settings.of(plain(cfg.sweep.study), "sweep.study")
    given = list(HydraConfig.get().overrides.task)
    corners = check_space(settings, given)
    data = HydraConfig.get().runtime.choices["data"]
    name = settings.name or f"{data}-{cfg.split}-{cfg.seed}-{settings.sampler}"
    folder = Path(cfg.store) / "sweeps" / str(cfg.sweep.name) / name
    study = Study(settings, name, folder, cfg.seed, bool(cfg.get("retry_failed")))
    trials = Trials(given, f"{settings.where}.space")
    first = trials.point(corners[0])
    pipeline = first.pipeline
    pipeline.check_inputs()
    inputs = {"data": pipeline.data.fingerprint, "ids": pipeline.ids.fingerprint}
    if cfg.checkpoint is not None:
        inputs["checkpoint"] = file_fingerprint(Path(cfg.checkpoint))
    study.begin(shared(cfg) | inputs)
    try:
        if study.left():
            first.key()  # networks are trained before the first trial, or never
        users = min(cfg.evaluation.users or len(pipeline.histories), len(pipeline.histories))
        told = conduct(study, given, trials.launch, users, cfg)
    finally:
        study.close()
    return {"verb": "sweep", "name": cfg.sweep.name, **told, "trained": trials.pipelines.built}


def check_space(settings: Settings, given: Sequence[str]) -> list[list[str]]:
    """Compose and check trials in which every choice and both ends of every range occur; give their overrides.

    Raises:
        ValueError: If Hydra knows no such dial, or a dial is wrong; or a trial would see test targets.
    """
    corners = settings.space.corners()
    for words in corners:
        cfg, _ = checked([*given, *words], f"{settings.where}.space")
        if cfg.split == "test":
            raise ValueError(f"{settings.where} tunes on validation targets alone, got split=test")
    return corners


def conduct(
    study: Study, given: Sequence[str], launch: Launch, users: int, cfg: DictConfig, typed: str | None = None
) -> dict[str, Any]:
    """Run what is left of a study, write and show what it found.

    Args:
        study: A study that has begun.
        given: Overrides of all its trials.
        launch: Runs trials.
        users: Users of a whole trial.
        cfg: The root config.
        typed: What was typed; None = what Hydra knows of it.

    Returns:
        What a verb's JSON says of it.
    """
    before = len(study.counted())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"study {study.name}", total=before + study.left(), completed=before)
        ran = run_study(study, launch, users, own_error, lambda count: bar.advance(task, count))
    found, rows, paths = write_study(study, given)
    show_findings(study.settings, found, rows)
    if done := [row for row in rows if row["status"] == "done"]:
        from promise.analysis.plots.accuracy import study_figure
        from promise.analysis.plots.drawing import save_figure
        from promise.analysis.report.sentences import trial_sentence
        from promise.analysis.results import results_table
        from promise.experiments.report import write_report

        goals = dict(zip(study.settings.directions, study.settings.objectives, strict=True))
        accuracy, cost = goals.get("maximize", "recall@10"), goals.get("minimize", "flops_per_user")
        drawn = study_figure(results_table(done), accuracy, cost, found.best, f"{study.name} · {len(done)} trials")
        images = save_figure(drawn, study.folder / "front")
        paths |= {"front": str(images[1]), "front_svg": str(images[0])}
        proposed = next((row for row in done if row["trial"] == found.best), None)
        role = "The best trial" if found.reference is None else "The knee of the front"
        lead = trial_sentence(proposed, role) if proposed else None
        paths |= write_report(cfg, rows, study.folder, lead=lead, command=typed)
    if "experiment" in paths:
        print(f"\n{command(study, given)}")
    if found.running:
        log.info("other workers are at %d more trials; the last one writes the whole table", found.running)
    return {
        "study": study.name,
        "points": found.trials,
        "ran": ran,
        "skipped": found.trials - ran,
        "failed": found.failed,
        "pruned": found.pruned,
        "running": found.running,
        "best": next((row for row in rows if row["trial"] == found.best), None),
        "front": found.front,
        "hypervolume": found.hypervolume,
        "reference": found.reference,
        "mean_accuracy": found.mean_accuracy,
        "findings": [],
        "paths": paths,
    }


def own_error(error: Exception) -> str:
    """What a failed trial's row says of its error."""
    return f"{type(unwrapped(error)).__name__}: {own_words(error)}"
