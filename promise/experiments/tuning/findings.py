"""Findings of a study: the best trial, or the front of two objectives and its knee."""

from collections.abc import Mapping, Sequence
from typing import Any

from promise.analysis.frontier import knee, pareto
from promise.analysis.units import flops_text
from promise.experiments.tuning.settings import Settings, measured
from promise.pipeline.verb import show


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
    bend = knee(prices, gains)
    return counts | {"best": None if bend is None else points[ordered[bend]], "front": front}


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
