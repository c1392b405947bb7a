"""The report's tables: methods of one protocol beside published figures, halves of the users, other rows."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from promise.analysis.frontier import pareto
from promise.analysis.headline import COMPARED, GUIDED, MEASURES, METHODS, Row
from promise.analysis.markdown import MISSING, figure, flops, protocol, short, spread, table, titled
from promise.analysis.verdicts import claim_text, mean

DIALS = (
    "seed", "seen", "generator", "reward", "training", "search.width", "search.candidates", "search.weight",
    "search.control", "search.adaptive", "search.samples", "further",
)  # fmt: skip
SIGNS = {"search.width": "W", "search.candidates": "C", "search.weight": "λ"}


def methods_table(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[str]:
    """Every method of one dataset and protocol, over its seeds; what guided search has over it, claims in bold.

    Args:
        rows: Headline rows of all users.
        comparisons: Of the same users.
    """
    columns = ["method", "seeds", *map(short, MEASURES), "FLOPs per user", "guided − it, R@10", "guided − it, N@10"]
    cells = []
    for method in METHODS:
        if same := [row for row in rows if row["method"] == method]:
            measured = [spread([row[metric] for row in same]) for metric in MEASURES]
            differences = [difference(comparisons, method, metric) for metric in COMPARED]
            cost = flops(mean(row["flops_per_user"] for row in same))
            cells.append([f"`{method}`", str(len(same)), *measured, cost, *differences])
    return table(columns, cells)


def halves_table(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[str]:
    """Every method on users whose target comes above, and below, their last item; no line when there are none."""
    halves = [half for half in ("above", "below") if any(row["half"] == half for row in rows)]
    if not halves:
        return []
    columns = ["method", *(f"{short(metric)} {half}" for half in halves for metric in COMPARED)]
    columns += [f"guided − it, R@10 {half}" for half in halves]
    cells = []
    for method in METHODS:
        same = [row for row in rows if row["method"] == method]
        if any(row["half"] in halves for row in same):
            values = [
                spread([row[metric] for row in same if row["half"] == half]) for half in halves for metric in COMPARED
            ]
            sides = ([row for row in comparisons if row["half"] == half] for half in halves)
            cells.append([f"`{method}`", *values, *(difference(side, method, "recall@10") for side in sides)])
    return table(columns, cells)


def difference(comparisons: Iterable[Row], method: str, metric: str) -> str:
    """What guided search has over a method; a claim is bold."""
    if method == GUIDED:
        return ""
    same = (row for row in comparisons if (row["against"], row["metric"]) == (method, metric))
    return claim_text(next(same, None))


def published_table(rows: Sequence[Row]) -> list[str]:
    """Figures that others published under the same protocol."""
    cells = [
        [row["method"], *(figure(row[metric]) for metric in MEASURES), row["source"] or "", row["note"] or ""]
        for row in rows
    ]
    return table(["published", *map(short, MEASURES), "source", "note"], cells)


def points_table(path: Path) -> list[str]:
    """The points of a sweep's `results.csv`: whose targets, the dials that differ, accuracy with its interval, cost.

    Raises:
        ValueError: If it is no table of results.
    """
    return points_of(done_rows(path))


def front_table(path: Path) -> list[str]:
    """Those points of a sweep or study that no other beats at the same or a lower cost, and how many there were.

    Raises:
        ValueError: If it is no table of results.
    """
    rows = done_rows(path)
    costs = [number(row.get("flops_per_user")) or math.nan for row in rows]
    best = pareto(costs, [float(row["recall@10"]) for row in rows])
    front = sorted((cost, place) for place, (cost, kept) in enumerate(zip(costs, best, strict=True)) if kept)
    lines = points_of([rows[place] for _, place in front])
    lines[0] += f" Of {len(rows)} points, those that no other beats in recall@10 at the same or fewer FLOPs."
    return lines


def done_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a sweep's `results.csv` as text, without failed points.

    Raises:
        ValueError: If it is no table of results.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("status") == "done"]
    if not rows or not {"data", "split", "users", "seed", "seen", "search", "recall@10", "ndcg@10"} <= rows[0].keys():
        raise ValueError(f"{path} must be a sweep's results.csv with at least one point that is done")
    return rows


def points_of(rows: Sequence[dict[str, str]]) -> list[str]:
    """Points as a sentence on what they share, and a table of what differs."""
    for row in rows:
        if row.get("search.control") == "none":
            row["search.control"] = ""
    dials = [name for name in DIALS if len({row.get(name) for row in rows}) > 1]
    names = [SIGNS.get(name, name.removeprefix("search.")) for name in dials]
    cells = []
    for row in rows:
        texts = [dial(row[name] or "") for name in dials]
        ends = [number(row.get(f"recall@10_{end}")) for end in ("low", "high")]
        recall = figure(number(row["recall@10"]))
        if None not in ends:
            recall += f" ({figure(ends[0])}–{figure(ends[1])})"
        cost = flops(number(row.get("flops_per_user")))
        cells.append([f"`{row['search']}`", *texts, recall, figure(number(row["ndcg@10"])), cost])
    first = rows[0]
    about = f"{titled(first['data'])}, {first['split']} targets of {int(first['users']):,} users"
    shared = [] if "seed" in dials else [f"seed {first['seed']}"]
    shared += [] if "seen" in dials else [protocol(first["seen"])]
    return [", ".join([about, *shared]) + ".", "", *table(["search", *names, "R@10", "N@10", "FLOPs per user"], cells)]


def dial(text: str) -> str:
    """A dial's value: a number without needless digits, a list or a word as it is.

    >>> [dial(text) for text in ("10.0", "[1, 0]", "dot", "")]
    ['10', '[1, 0]', 'dot', '–']
    """
    try:
        return f"{float(text):g}"
    except ValueError:
        return text or MISSING


def number(text: str | None) -> float | None:
    """A cell's number; None where there is none."""
    return float(text) if text else None
