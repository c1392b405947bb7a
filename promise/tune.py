"""`promise sweep +sweeps=tune`: a study of Optuna's in place of grids, its trials run one after the other here."""

import logging
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from promise.pipeline.checks import check, check_judge
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline
from promise.pipeline.study import Asked, Study
from promise.pipeline.study_loop import run_study
from promise.pipeline.study_results import Findings, command, write_study
from promise.pipeline.study_settings import Settings, measured
from promise.pipeline.training_run import file_fingerprint
from promise.pipeline.trial_config import check_trials, composed, shared
from promise.pipeline.verb import is_check, show, sized, unwrapped

log = logging.getLogger(__name__)


class Trials:
    """Runs trials in this process; networks that stay the same are loaded once.

    Args:
        given: Overrides of all trials.

    Attributes:
        built: Stages that were built on the way.
        searched: Searches that were made, not read from rows.
    """

    def __init__(self, given: Sequence[str]) -> None:
        self.given = list(given)
        self.built: list[str] = []
        self.searched = 0
        self._pipeline: Pipeline | None = None
        self._known = ""

    def pipeline(self, cfg: DictConfig) -> Pipeline:
        """The pipeline of a config; the last one when only its search or its users differ."""
        plain = OmegaConf.to_container(cfg, resolve=True)
        assert isinstance(plain, dict)
        known = repr({name: value for name, value in plain.items() if name not in ("search", "evaluation", "sweep")})
        if self._pipeline is None or known != self._known:
            self._pipeline, self._known = Pipeline(cfg), known
        self._pipeline.cfg = cfg
        return self._pipeline

    def row(self, words: Sequence[str]) -> dict[str, Any]:
        """The row of a trial, from the store or from a search made now."""
        cfg, chosen = composed([*self.given, *words])
        check(cfg)
        check_judge(cfg)
        pipeline = self.pipeline(cfg)
        try:
            result, _ = Point(pipeline, cfg.search, chosen).result()
        finally:
            self.built += [stage for stage in pipeline.built if stage not in self.built]
        self.searched += result.searched
        return result.row

    def launch(self, trials: Sequence[tuple[Asked, list[str]]]) -> list[dict[str, Any] | BaseException]:
        """Rows of trials, or what they raised."""
        outcomes: list[dict[str, Any] | BaseException] = []
        for _, words in trials:
            try:
                outcomes.append(self.row(words))
            except Exception as error:
                if not is_check(error):
                    log.error("%s", "".join(traceback.format_exception(error)))
                outcomes.append(unwrapped(error))
        return outcomes


def run(
    cfg: DictConfig,
    failed_row: Callable[[DictConfig, dict[str, str]], dict[str, Any]],
) -> dict[str, Any]:
    """Run what is left of the study, then write what it found.

    Args:
        cfg: The root config; `sweep.study` describes the study.
        failed_row: What the row of a failed trial can say, from its config and the options chosen.

    Raises:
        ValueError: If a dial, the space, or the storage is wrong: before any training.
    """
    settings = Settings.of(OmegaConf.to_container(cfg.sweep.study, resolve=True), "sweep.study")  # type: ignore[arg-type]
    if cfg.split == "test":
        raise ValueError("sweep.study tunes on validation targets alone, got split=test")
    if cfg.sweep.name is None:
        raise ValueError("sweep.name must be given: it names the folder of the results")
    given = list(HydraConfig.get().overrides.task)
    corners = settings.space.corners()
    check_trials(given, corners, f"{settings.where}.space")
    data = HydraConfig.get().runtime.choices["data"]
    name = settings.name or f"{cfg.sweep.name}-{data}-{cfg.split}-{cfg.seed}-{settings.sampler}"
    folder = Path(cfg.store) / "sweeps" / str(cfg.sweep.name) / name.removeprefix(f"{cfg.sweep.name}-")
    study = Study(settings, name, folder, cfg.seed, bool(cfg.get("retry_failed", False)))
    trials = Trials(given)
    first, chosen = composed([*given, *corners[0]])
    pipeline = trials.pipeline(first)
    pipeline.check_inputs()
    inputs = {"data": pipeline.data.fingerprint, "ids": pipeline.ids.fingerprint}
    if cfg.checkpoint is not None:
        inputs["checkpoint"] = file_fingerprint(Path(cfg.checkpoint))
    study.begin(shared(cfg) | inputs)
    try:
        if study.left():
            Point(pipeline, first.search, chosen).key()  # networks are trained before the first trial, or never
            trials.built += [stage for stage in pipeline.built if stage not in trials.built]
        before = len(study.counted())
        users = min(cfg.evaluation.users or len(pipeline.histories), len(pipeline.histories))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(f"study {name}", total=before + study.left(), completed=before)
            run_study(
                study,
                trials.launch,
                users,
                lambda words: failed_row(*composed([*given, *words])),
                lambda count: bar.advance(task, count),
            )
        found, rows, paths = write_study(study, given)
    finally:
        study.close()
    show_findings(settings, found, rows)
    if done := [row for row in rows if row["status"] == "done"]:
        from promise.pipeline.sweep_report import write_report
        from promise.scaling.sentences import trial_sentence

        proposed = next((row for row in done if row["trial"] == found.best), None)
        role = "The best trial" if found.reference is None else "The knee of the front"
        lead = trial_sentence(proposed, role) if proposed else None
        paths |= write_report(cfg, rows, folder, lead=lead)
    if "experiment" in paths:
        print(f"\n{command(study, given)}")
    if found.running:
        log.info("other workers are at %d more trials; the last one writes the whole table", found.running)
    return {
        "verb": "sweep",
        "name": cfg.sweep.name,
        "study": name,
        "points": found.trials,
        "ran": trials.searched,
        "skipped": found.trials - trials.searched - found.failed,
        "failed": found.failed,
        "pruned": found.pruned,
        "running": found.running,
        "trained": trials.built,
        "best": next((row for row in rows if row["trial"] == found.best), None),
        "front": found.front,
        "hypervolume": found.hypervolume,
        "reference": found.reference,
        "mean_accuracy": found.mean_accuracy,
        "findings": [],
        "paths": paths,
    }


def show_findings(settings: Settings, found: Findings, rows: list[dict[str, Any]]) -> None:
    """The front as a table, the knee marked; or the best trials."""
    by_number = {row["trial"]: row for row in rows}
    if found.reference is not None:
        title, numbers = "Front: no trial is better in both", found.front
    else:
        sign = -1 if settings.directions[0] == "maximize" else 1
        done = [row for row in rows if row["status"] == "done"]
        within = [row for row in done if all(excess <= 0 for excess in settings.excesses(row).values())]
        best = sorted(within, key=lambda row: (sign * settings.values(row)[0], row["trial"]))
        title, numbers = "Best trials", [row["trial"] for row in best[:5]]
    dials = ("search", "generator", "search.width", "search.candidates", "search.weight")
    columns = list(dict.fromkeys((*settings.objectives, "flops_per_user")))
    shown = [
        [
            number,
            *(by_number[number].get(name) for name in dials),
            *(figure(by_number[number], name) for name in columns),
            ("knee" if found.reference is not None else "best") if number == found.best else "",
        ]
        for number in numbers
    ]
    if shown:
        show(f"{title} ({found.study})", ["trial", "search", "generator", "W", "C", "λ", *columns, ""], shown)
    state = f"{found.trials} of {found.wanted} trials"
    for count, what in (
        (found.pruned, "given up early"),
        (found.failed, "failed"),
        (found.above, "above a ceiling"),
        (found.running, "running elsewhere"),
    ):
        state += f", {count} {what}" if count else ""
    print(state)
    if found.reference is not None and found.hypervolume is not None:
        accuracy, cost = (settings.objectives[settings.directions.index(d)] for d in ("maximize", "minimize"))
        print(
            f"hypervolume {found.hypervolume:.6g} ({accuracy} × {cost}) above the reference point "
            f"{accuracy} = {found.reference[0]:g}, {cost} = {found.reference[1]:g}"
            + (f"; per unit of cost {found.mean_accuracy:.5f}" if found.mean_accuracy is not None else "")
        )


def figure(row: dict[str, Any], name: str) -> Any:
    """A figure of a row as a table shows it."""
    value = measured(row, name) if name == "seconds_per_user" else row.get(name)
    return sized(value, "FLOP") if name == "flops_per_user" else value
