"""Findings of a study: the best trial, or the front of two objectives and its knee."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from promise.analysis.frontier import knee, pareto
from promise.analysis.units import flops_text
from promise.experiments.tuning.settings import Settings, measured
from promise.pipeline.verb import show


@dataclass
class StudyFindings:
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


def find(settings: Settings, name: str, rows: Sequence[dict[str, Any]], running: int = 0) -> StudyFindings:
    """The state of a study, from the rows of its trials.

    Args:
        settings: The study's.
        name: Its name.
        rows: Rows of the trials, as `Study.rows` gives them.
        running: Trials that some worker is at.
    """
    status = [row["status"] for row in rows]
    found = StudyFindings(name, len(rows), settings.trials, status.count("failed"), status.count("pruned"), running)
    done = [row for row in rows if row["status"] == "done"]
    feasible = [row for row in done if all(excess <= 0 for excess in settings.excesses(row).values())]
    found.above = len(done) - len(feasible)
    if len(settings.objectives) == 1:
        sign = -1 if settings.directions[0] == "maximize" else 1
        best = sorted(feasible, key=lambda row: (sign * settings.values(row)[0], row["trial"]))
        found.ranking = [row["trial"] for row in best]
        found.best = found.ranking[0] if best else None
        return found
    accuracy, cost = (settings.objectives[settings.directions.index(way)] for way in ("maximize", "minimize"))
    # Equal searches under two names are one point: the first trial counts.
    points = {(measured(row, cost), measured(row, accuracy)): row["trial"] for row in reversed(feasible)}
    ordered = sorted(points)
    prices, gains = [price for price, _ in ordered], [gain for _, gain in ordered]
    found.front = [points[point] for point, on in zip(ordered, pareto(prices, gains), strict=True) if on]
    if (bend := knee(prices, gains)) is not None:
        found.best = points[ordered[bend]]
    return found


def show_findings(settings: Settings, found: StudyFindings, rows: Sequence[dict[str, Any]]) -> None:
    """Print the front as a table, the knee marked; or the best trials."""
    if len(settings.objectives) == 2:
        title, mark, numbers = "Front: no trial is better in both", "knee", found.front
    else:
        title, mark, numbers = "Best trials", "best", found.ranking[:5]
    by_number = {row["trial"]: row for row in rows}
    options = ("search", "generator", "search.width", "search.candidates", "search.weight")
    columns = list(dict.fromkeys((*settings.objectives, *settings.constraints, "flops_per_user")))
    cells = []
    for row in (by_number[number] for number in numbers):
        figures = [flops_text(row.get(n)) if n == "flops_per_user" else measured(row, n) for n in columns]
        last = mark if row["trial"] == found.best else ""
        cells.append([row["trial"], *(row.get(name) for name in options), *figures, last])
    if cells:
        show(f"{title} ({found.study})", ["trial", "search", "generator", "W", "C", "λ", *columns, ""], cells)
    counts = {
        "given up early": found.pruned,
        "failed": found.failed,
        "above a ceiling": found.above,
        "running elsewhere": found.running,
    }
    print(f"{found.trials} of {found.wanted} trials" + "".join(f", {n} {what}" for what, n in counts.items() if n))
