"""Runs what is left of a study, and writes and shows what it found."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from promise.analysis.report.sentences import point_sentence
from promise.analysis.results import write_results
from promise.experiments.grid import compose_checked
from promise.experiments.identity import identity
from promise.experiments.report import write_report
from promise.experiments.tuning.experiment_file import test_command, write_experiment
from promise.experiments.tuning.findings import find, show_findings
from promise.experiments.tuning.settings import Settings, measured
from promise.experiments.tuning.study import Asked, Study
from promise.pipeline.errors import own_words, unwrapped
from promise.pipeline.files import written_whole

#: Runs trials: a row, or what was raised, for each.
Launch = Callable[[Sequence[Asked]], Sequence[dict[str, Any] | Exception]]


def check_space(settings: Settings, given: Sequence[str]) -> list[list[str]]:
    """Compose and check trials in which every choice and both ends of every range occur; give their overrides.

    Raises:
        ValueError: If Hydra knows no such key, or a value is wrong; or a trial would see test targets.
    """
    corners = settings.space.corners()
    for overrides in corners:
        cfg, _ = compose_checked([*given, *overrides], f"{settings.where}.space")
        if cfg.split == "test":
            raise ValueError(f"{settings.where} tunes on validation targets alone, got split=test")
    return corners


def study_identity(settings: Settings, cfg: DictConfig) -> dict[str, Any]:
    """Everything that the objective of a study depends on beside what it searches."""
    return identity(cfg, without=[each.name for each in settings.space.dimensions])


def run_trials(study: Study, launch: Launch, told: Callable[[int], None] = lambda count: None) -> int:
    """Run what is left of a study, beside other workers.

    Returns:
        Trials that this worker ran.
    """
    count = 0
    while batch := study.ask(study.settings.parallel):  # what is left is counted anew: other workers ask too
        for asked, outcome in zip(batch, launch(batch), strict=True):
            if isinstance(outcome, Exception):
                study.fail(asked, f"{type(unwrapped(outcome)).__name__}: {own_words(outcome)}")
            else:
                study.tell(asked, outcome)
        count += len(batch)
        told(len(batch))
    return count


def conduct(
    study: Study, given: Sequence[str], launch: Launch, cfg: DictConfig, typed: str | None = None
) -> dict[str, Any]:
    """Run what is left of a study, write and show what it found.

    Returns:
        What a verb's JSON says of it.
    """
    before = len(study.counted())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"study {study.name}", total=before + study.left(), completed=before)
        ran = run_trials(study, launch, lambda count: bar.advance(task, count))
    found, rows, paths = write_study(study, given)
    show_findings(study.settings, study.name, found, rows)
    best = next((row for row in rows if row["trial"] == found["best"]), None)
    if any(row["status"] == "done" for row in rows):
        role = "best trial" if len(study.settings.objectives) == 1 else "knee of the front"
        lead = point_sentence(best, f"The {role}, number {best['trial']}") if best else None
        paths |= write_report(cfg, rows, study.folder, lead=lead, command=typed)
    if "experiment" in paths:
        print(f"\n{test_command(study.folder, proposal(study.settings), given)}")
    told = {"study": study.name, "ran": ran, "skipped": found["points"] - ran, "findings": [], "paths": paths}
    return {**found, **told, "best": best}


def write_study(study: Study, given: Sequence[str]) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, str]]:
    """Write results.csv, study.json and the experiment file of the proposed trial; no other worker writes meanwhile.

    Returns:
        The findings, the rows, and the paths by name.
    """
    folder = study.folder
    paths = {"results": str(folder / "results.csv"), "study": str(folder / "study.json")}
    with study.lock:
        rows = study.rows()
        found = find(study.settings, rows, len(study.running()))
        write_results(rows or [{"search": None}], folder / "results.csv")
        for row in (row for row in rows if row["trial"] == found["best"]):
            path = folder / "experiment" / f"{proposal(study.settings)}.yaml"
            trial = next(trial for trial in study.counted() if trial.number == row["trial"])
            figures = ", ".join(f"{name} {measured(row, name):.4g}" for name in study.settings.objectives)
            comments = [
                f"Trial {found['best']} of study {study.name}: {figures}, {row['split']}, {row['users']} users.",
                f"Use: {test_command(folder, proposal(study.settings), given)}",
            ]
            write_experiment([*given, *study.settings.space.overrides(trial.params)], path, comments)
            paths["experiment"] = str(path)
        with written_whole(folder / "study.json") as part:
            part.write_text(json.dumps({"study": study.name, **found}, indent=1) + "\n")
    return found, rows, paths


def proposal(settings: Settings) -> str:
    """Name of the experiment file: the best trial, or the knee of the front."""
    return "best" if len(settings.objectives) == 1 else "knee"
