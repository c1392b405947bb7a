"""What a study has found: the table of its trials, the best dials or the front, the hypervolume, an experiment file."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from promise.analysis.frontier import pareto
from promise.analysis.hypervolume import hypervolume, knee
from promise.analysis.results import write_results
from promise.analysis.units import flops_text
from promise.experiments.tuning.settings import Settings, measured
from promise.experiments.tuning.study import Study
from promise.experiments.tuning.trial_config import write_experiment
from promise.pipeline.verb import show


@dataclass
class Findings:
    """The state of a study.

    Attributes:
        study: Its name.
        trials: Trials that were told, of `wanted`.
        wanted: Trials that it is to have.
        failed: Those that failed.
        pruned: Those that were given up.
        running: Trials that some worker is at.
        above: Trials above a ceiling.
        best: Number of the trial that is proposed: the best one, or the knee of the front; None without any.
        ranking: Numbers of the trials within the ceilings, the best first; empty with two objectives.
        front: Numbers of the trials on the front, the cheapest first; empty with one objective.
        hypervolume: Area that the front dominates, in units of accuracy times cost; None with one objective.
        reference: Accuracy and cost of the worst corner; None with one objective.
        mean_accuracy: Hypervolume over the reference cost.
    """

    study: str
    trials: int = 0
    wanted: int = 0
    failed: int = 0
    pruned: int = 0
    running: int = 0
    above: int = 0
    best: int | None = None
    ranking: list[int] = field(default_factory=list)
    front: list[int] = field(default_factory=list)
    hypervolume: float | None = None
    reference: tuple[float, float] | None = None
    mean_accuracy: float | None = None


def find(settings: Settings, name: str, rows: Sequence[dict[str, Any]], running: int = 0) -> Findings:
    """What the rows of a study's trials say.

    Args:
        settings: The study's.
        name: Its name.
        rows: Rows of the trials, as `Study.rows` gives them.
        running: Trials that some worker is at.
    """
    status = [row["status"] for row in rows]
    found = Findings(name, len(rows), settings.trials, status.count("failed"), status.count("pruned"), running)
    done = [row for row in rows if row["status"] == "done"]
    feasible = [row for row in done if all(excess <= 0 for excess in settings.excesses(row).values())]
    found.above = len(done) - len(feasible)
    if len(settings.objectives) == 1:
        sign = -1 if settings.directions[0] == "maximize" else 1
        best = sorted(feasible, key=lambda row: (sign * settings.values(row)[0], row["trial"]))
        found.ranking = [row["trial"] for row in best]
        found.best = found.ranking[0] if best else None
        return found
    first = settings.directions.index("maximize")
    accuracy, cost = settings.objectives[first], settings.objectives[1 - first]
    gains, prices = [measured(row, accuracy) for row in feasible], [measured(row, cost) for row in feasible]
    floor, ceiling = settings.reference[first], settings.reference[1 - first]
    if ceiling is None:
        ceiling = max((measured(row, cost) for row in done), default=0.0)
    found.reference = (0.0 if floor is None else floor, ceiling)
    found.hypervolume = hypervolume(prices, gains, found.reference)
    found.mean_accuracy = found.hypervolume / ceiling if ceiling else None
    seen: set[tuple[float, float]] = set()
    marked = pareto(prices, gains)
    for i in sorted(range(len(feasible)), key=lambda i: (prices[i], feasible[i]["trial"])):
        if marked[i] and (prices[i], gains[i]) not in seen:  # equal searches under two names are one point
            seen.add((prices[i], gains[i]))
            found.front.append(feasible[i]["trial"])
    bend = knee(prices, gains)
    if bend is not None:
        point = (prices[bend], gains[bend])
        found.best = next(
            row["trial"] for row, *values in zip(feasible, prices, gains, strict=True)
            if tuple(values) == point and row["trial"] in found.front
        )  # fmt: skip
    return found


def write_study(study: Study, given: Sequence[str]) -> tuple[Findings, list[dict[str, Any]], dict[str, str]]:
    """Write results.csv, study.json and the experiment file of the proposed trial; no other worker writes meanwhile.

    Args:
        study: The study.
        given: Overrides of all its trials.

    Returns:
        What was found, the rows, and the paths by name.
    """
    folder = study.folder
    with study.lock:
        rows = study.rows()
        found = find(study.settings, study.name, rows, len(study.running()))
        write_results(rows or [{"search": None}], folder / "results.csv")
        paths = {"results": str(folder / "results.csv"), "study": str(folder / "study.json")}
        if found.best is not None:
            path = folder / "experiment" / f"{proposal(study.settings)}.yaml"
            trial = next(trial for trial in study.counted() if trial.number == found.best)
            words = study.settings.space.words(trial.params)
            row = next(row for row in rows if row["trial"] == found.best)
            figures = ", ".join(f"{name} {measured(row, name):.4g}" for name in study.settings.objectives)
            comments = [
                f"Trial {found.best} of study {study.name}: {figures}, {row['split']} targets of {row['users']} users.",
                f"Use: {command(study, given)}",
            ]
            write_experiment(given, words, path, comments)
            paths["experiment"] = str(path)
        draft = folder / ".study.json.part"
        draft.write_text(json.dumps(asdict(found), indent=1) + "\n")
        draft.replace(folder / "study.json")
    return found, rows, paths


def proposal(settings: Settings) -> str:
    """Name of the experiment file: the best trial, or the knee of the front."""
    return "best" if len(settings.objectives) == 1 else "knee"


def command(study: Study, given: Sequence[str]) -> str:
    """What evaluates the proposed trial on test targets."""
    kept = [word for word in given if word.partition("=")[0] in ("store", "trainer", "logger", "build")]
    words = ["--config-dir", str(study.folder), f"experiment={proposal(study.settings)}", *kept, "split=test"]
    return "promise evaluate " + shlex.join(words)


def show_findings(settings: Settings, found: Findings, rows: Sequence[dict[str, Any]]) -> None:
    """The front as a table, the knee marked; or the best trials."""
    if found.reference is not None:
        title, mark, numbers = "Front: no trial is better in both", "knee", found.front
    else:
        title, mark, numbers = "Best trials", "best", found.ranking[:5]
    by_number = {row["trial"]: row for row in rows}
    dials = ("search", "generator", "search.width", "search.candidates", "search.weight")
    columns = list(dict.fromkeys((*settings.objectives, *settings.constraints, "flops_per_user")))
    shown = [
        [
            number,
            *(by_number[number].get(name) for name in dials),
            *(_shown(by_number[number], name) for name in columns),
            mark if number == found.best else "",
        ]
        for number in numbers
    ]
    if shown:
        show(f"{title} ({found.study})", ["trial", "search", "generator", "W", "C", "λ", *columns, ""], shown)
    counts = {
        "given up early": found.pruned,
        "failed": found.failed,
        "above a ceiling": found.above,
        "running elsewhere": found.running,
    }
    more = "".join(f", {count} {what}" for what, count in counts.items() if count)
    print(f"{found.trials} of {found.wanted} trials{more}")
    if found.reference is not None:
        accuracy, cost = (settings.objectives[settings.directions.index(d)] for d in ("maximize", "minimize"))
        print(
            f"hypervolume {found.hypervolume:.6g} ({accuracy} × {cost}) above the reference point "
            f"{accuracy} = {found.reference[0]:g}, {cost} = {found.reference[1]:g}"
            + (f"; per unit of cost {found.mean_accuracy:.5f}" if found.mean_accuracy is not None else "")
        )


def _shown(row: dict[str, Any], name: str) -> Any:
    """A figure of a row as a table shows it."""
    return flops_text(row.get(name)) if name == "flops_per_user" else measured(row, name)
