"""Runs what is left of a study, and shows and writes what it found, with an experiment file of the proposed trial."""

import json
import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from promise import configs
from promise.analysis.frontier import knee, pareto
from promise.analysis.report.sentences import point_sentence
from promise.analysis.results import write_results
from promise.analysis.units import flops_text
from promise.experiments.grid import compose_checked
from promise.experiments.identity import RUN_ONLY, identity, pop
from promise.experiments.point_outcome import Pipelines
from promise.experiments.report import write_report
from promise.experiments.runner import in_this_process
from promise.experiments.tuning.settings import Settings, measured
from promise.experiments.tuning.study import Asked, Study
from promise.pipeline.config import plain, without_passwords
from promise.pipeline.errors import is_check, own_words, unwrapped
from promise.pipeline.files import written_whole
from promise.pipeline.model_folder import digest
from promise.pipeline.points import Point
from promise.pipeline.verb import choices, config_places, show

log = logging.getLogger(__name__)

#: Runs trials: a row, or what was raised, for each.
Launch = Callable[[Sequence[Asked]], Sequence[dict[str, Any] | Exception]]

#: Keys that belong to a run and not to what was found.
LEFT_OUT = (*RUN_ONLY, "split", "trainer", "evaluation.users")

#: Groups that an experiment file does not choose.
GROUPS_LEFT_OUT = ("experiment", "trainer", "logger", "launcher", "sweeps", "study", "hydra")


def run_here(cfg: DictConfig) -> dict[str, Any]:
    """Run what is left of the study of `promise sweep +sweeps=tune`, its trials one after the other in this process."""
    settings = Settings.of(plain(cfg.sweep.study), "sweep.study")
    if settings.parallel > 1 or not in_this_process():
        raise ValueError(
            "promise sweep runs the trials of a study one after the other: type it several times for several workers, "
            "or give the launcher and hydra.sweeper.parallel to promise evaluate -m hydra/sweeper=promise_optuna"
        )
    given = list(HydraConfig.get().overrides.task)
    pipelines = Pipelines()

    def point(overrides: Sequence[str]) -> Point:
        trial, chosen = compose_checked([*given, *overrides], f"{settings.where}.space")
        return Point(pipelines.of(trial), trial.search, chosen, " ".join(overrides))

    def row(asked: Asked) -> dict[str, Any] | Exception:
        try:
            return point(asked.overrides).result()[0].row
        except Exception as error:
            if not is_check(error):
                log.exception("trial %d", asked.number)
            return error

    corners = check_space(settings, given)
    shared = study_identity(settings, cfg)
    made_of = digest([settings.identity, shared])[:8]
    name = settings.name or f"{choices()['data']}-{cfg.split}-{cfg.seed}-{settings.sampler}-{made_of}"
    folder = Path(cfg.store) / "sweeps" / str(cfg.sweep.name) / name
    with closing(Study(settings, name, folder, cfg.seed, shared, cfg.retry_failed)) as study:
        first = point(corners[0])
        first.pipeline.check_inputs()
        if study.left():
            first.key()  # networks are trained before the first trial, or never
        told = conduct(study, given, lambda trials: [row(asked) for asked in trials], cfg)
    return {"verb": "sweep", "name": cfg.sweep.name, **told, "trained": [*dict.fromkeys(pipelines.built)]}


def check_space(settings: Settings, given: Sequence[str]) -> list[list[str]]:
    """Overrides of trials with every choice and both ends of every range, checked; ValueError if one is wrong."""
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
    """Run what is left of a study, beside other workers; the number of trials that this one ran."""
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
    """Run what is left of a study, write and show what it found; returns what a verb's JSON says of it."""
    before = len(study.counted())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"study {study.name}", total=before + study.left(), completed=before)
        ran = run_trials(study, launch, lambda count: bar.advance(task, count))
    with study.lock:  # workers that end together write one after the other
        found, rows, paths = write_study(study, given)
        best = next((row for row in rows if row["trial"] == found["best"]), None)
        if any(row["status"] == "done" for row in rows):
            role = "best trial" if len(study.settings.objectives) == 1 else "knee of the front"
            lead = point_sentence(best, f"The {role}, number {best['trial']}") if best else None
            paths |= write_report(cfg, rows, study.folder, lead=lead, command=typed)
    show_findings(study.settings, study.name, found, rows)
    if "experiment" in paths:
        print(f"\n{test_command(Path(paths['experiment']), given)}")
    told = {"study": study.name, "ran": ran, "skipped": found["points"] - ran, "findings": [], "paths": paths}
    return {**found, **told, "best": best}


def write_study(study: Study, given: Sequence[str]) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, str]]:
    """Write `results.csv`, `study.json` and the experiment file of the proposed trial.

    The findings, the rows, and the paths by name are returned.
    """
    folder, objectives = study.folder, study.settings.objectives
    paths = {"results": str(folder / "results.csv"), "study": str(folder / "study.json")}
    rows = study.rows()
    found = find(study.settings, rows, running=len(study.counted()) - len(rows))
    write_results(rows or [{"search": None}], folder / "results.csv")
    for row in (row for row in rows if row["trial"] == found["best"]):
        path = folder / "experiment" / f"{'best' if len(objectives) == 1 else 'knee'}.yaml"
        trial = next(trial for trial in study.counted() if trial.number == row["trial"])
        figures = ", ".join(f"{name} {measured(row, name):.4g}" for name in objectives)
        comments = [
            f"Trial {found['best']} of study {study.name}: {figures}, {row['split']}, {row['users']} users.",
            f"Use: {test_command(path, given)}",
        ]
        write_experiment([*given, *study.settings.space.overrides(trial.params)], path, comments)
        paths["experiment"] = str(path)
    with written_whole(folder / "study.json") as part:
        part.write_text(json.dumps({"study": study.name, **found}, indent=1) + "\n")
    return found, rows, paths


def find(settings: Settings, rows: Sequence[dict[str, Any]], running: int = 0) -> dict[str, Any]:
    """The state of a study, from the rows of its trials; JSON-able.

    Returns:
        Numbers of trials: `points` that were told, of `wanted`; `failed`, `running`, `above` a ceiling; `best`, the
        number of the trial that is proposed: the best one, the knee of the front, or None; and `front`: those on the
        front within the ceilings, the cheapest first, or with one objective all, the best first.
    """
    status = [row["status"] for row in rows]
    counts = {"points": len(rows), "wanted": settings.trials, "running": running}
    counts["failed"] = status.count("failed")
    done = [row for row in rows if row["status"] == "done"]
    feasible = [row for row in done if all(excess <= 0 for excess in settings.excesses(row).values())]
    counts["above"] = len(done) - len(feasible)
    if len(settings.objectives) == 1:
        sign = -1 if settings.directions[0] == "maximize" else 1
        ranked = sorted(feasible, key=lambda row: (sign * settings.values(row)[0], row["trial"]))
        front = [row["trial"] for row in ranked]
        return counts | {"best": front[0] if front else None, "front": front}
    accuracy, cost = (settings.objectives[settings.directions.index(way)] for way in ("maximize", "minimize"))
    # Equal searches under two names are one point: the first trial counts.
    points = {(measured(row, cost), measured(row, accuracy)): row["trial"] for row in reversed(feasible)}
    ordered = sorted(points)
    prices, gains = [price for price, _ in ordered], [gain for _, gain in ordered]
    front = [points[point] for point, on in zip(ordered, pareto(prices, gains), strict=True) if on]
    dear = [point for point in ordered if point[0] > 0]  # counts cost no FLOPs, which have no logarithm
    bend = knee([price for price, _ in dear], [gain for _, gain in dear])
    proposed = ordered[-1:] if bend is None else [dear[bend]]
    return counts | {"best": points[proposed[0]] if proposed else None, "front": front}


def show_findings(settings: Settings, name: str, found: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Print the front of the study of a name as a table, the knee marked; or the best trials."""
    two = len(settings.objectives) == 2
    title, mark = ("Front: no trial is better in both", "knee") if two else ("Best trials", "best")
    by_number = {row["trial"]: row for row in rows}
    options = ("search", "generator", "search.width", "search.candidates", "search.weight")
    columns = list(dict.fromkeys((*settings.objectives, *settings.constraints, "flops_per_user")))
    cells = []
    for row in (by_number[number] for number in found["front"][: None if two else 5]):
        figures = [flops_text(row.get(n)) if n == "flops_per_user" else measured(row, n) for n in columns]
        last = mark if row["trial"] == found["best"] else ""
        cells.append([row["trial"], *(row.get(option) for option in options), *figures, last])
    if cells:
        show(f"{title} ({name})", ["trial", "search", "generator", "W", "C", "λ", *columns, ""], cells)
    words = {"failed": "failed", "above": "above a ceiling", "running": "running elsewhere"}
    counts = "".join(f", {found[each]} {told}" for each, told in words.items() if found[each])
    print(f"{found['points']} of {found['wanted']} trials{counts}")


def test_command(file: Path, given: Sequence[str]) -> str:
    """The command that evaluates the experiment file of a study, given its words, on test targets; in a Hydra app."""
    kept = [word for word in given if word.partition("=")[0] in ("store", "trainer", "logger", "build")]
    folder, further = config_places()
    places = [*(f"file://{path}" for path in folder), *further]
    own = [f"hydra.searchpath={places}"] if places else []
    words = ["--config-dir", str(file.parent.parent), *own, f"experiment={file.stem}", *without_passwords(kept)]
    words.append("split=test")
    return "promise evaluate " + shlex.join(words)


def write_experiment(overrides: Sequence[str], path: Path, comments: Sequence[str]) -> None:
    """Write the options of a trial as an option of the group `experiment`; within a Hydra app.

    The file holds every option, not the overrides (of study and trial): it stands alone, whatever experiment the study
    was run with. `--config-dir FOLDER experiment=NAME` finds FOLDER/experiment/NAME.yaml.
    """
    cfg, chosen = configs.composed(overrides)
    usual = configs.composed([])[1]
    values: Any = OmegaConf.to_container(cfg, resolve=False)
    for name in LEFT_OUT:
        pop(values, name)
    groups = [
        {f"override /{group}": option}
        for group, option in chosen.items()
        if option != usual.get(group, option) and not group.startswith(GROUPS_LEFT_OUT)
    ]
    head = "".join(f"# {line}\n" for line in ("@package _global_", *comments))
    content = ({"defaults": groups} if groups else {}) | values
    with written_whole(path) as part:
        part.write_text(head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
