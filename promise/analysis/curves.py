"""From the rows of a sweep to named curves: which points belong to one line, and what it is called."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from promise.analysis.results import COUNTS, SEARCHES, per_level, protocol

Along = Literal["candidates", "width", "weight"]

NAMES = {
    "plain": "plain beam",
    "orm": "ORM",
    "co_visit": "co-visit",
    "co_visit_text": "co-visit × text",
    "sasrec": "SASRec",
}
"""What a kind of search is called in figures, where that is not its own name."""
BEAMS = frozenset(("plain", "guided", "orm"))
"""The searches that have a width."""
WEIGHTED = frozenset(("guided", "orm", "exhaustive"))
"""The searches in which λ acts."""


def words_of(overrides: str) -> str:
    """Overrides as a label says them: the last part of every name, and its value.

    >>> words_of("training.negatives=hard generator.dropout=0.3")
    'negatives hard, dropout 0.3'
    """
    pairs = (override.partition("=") for override in overrides.split())
    return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, _, value in pairs)


# What a point depends on besides its search dials, and how its value reads in a label.
_CONTEXT: dict[str, Callable[[Any], str]] = {
    "data": str,
    "split": str,
    "users": lambda users: f"{users:,} users",
    "seen": protocol,
    "generator": str,
    "reward": str,
    "training": str,
    "search.temperature": lambda temperature: f"temperature {temperature:g}",
    "further": words_of,
}
MOST_LINES = 8
"""Of one kind of search, lines that a reader can tell apart; where more of them are single points, none is joined."""
_MEASURED = ("data", "split", "users", "seen")


@dataclass(frozen=True)
class Point:
    """One setting of the dials: its place on the axes and its accuracy, averaged over seeds.

    Attributes:
        width: Beams kept (the largest of the levels'); NaN for a search without beams.
        candidates: Paths scored before the cut to width (the largest of the levels'); NaN likewise.
        weight: λ in [0, 1] (the mean of the levels'); NaN where it does not act.
        flops: FLOPs per user; NaN when unknown or 0.
        value: The metric, mean over users and seeds.
        low: Lower end of its interval (mean over seeds); NaN when there is none.
        high: Upper end.
        seeds: The metric of every seed.
        width_name: The width as a reader sees it: `20`, or `50-20-20` when it is per level.
    """

    width: float
    candidates: float
    weight: float
    flops: float
    value: float
    low: float
    high: float
    seeds: tuple[float, ...]
    width_name: str


@dataclass(frozen=True)
class Curve:
    """The points of one line, in the order in which they are joined.

    Attributes:
        name: What a reader sees, such as `guided, W = 20`; no two curves of a figure share it.
        search: Kind of search, as in the rows.
        context: The settings in which the curves of the figure differ besides search dials.
        points: At least one point.
        scattered: Whether the dials were drawn at random, say: there is no line to join the points by.
    """

    name: str
    search: str
    context: tuple[str, ...]
    points: tuple[Point, ...]
    scattered: bool = False


def usable(rows: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Keep the rows of finished points that have the metric.

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of a metric column.

    Returns:
        The rows to draw.

    Raises:
        ValueError: If there is no such column.
    """
    if metric not in rows.columns:
        known = ", ".join(name for name in rows.columns if "@" in name and "_" not in name)
        raise ValueError(f"metric must be a column of the results ({known}), got {metric}")
    keep = pl.col(metric).cast(pl.Float64).is_finite().fill_null(False)
    if "status" in rows.columns:
        keep &= pl.col("status").fill_null("done") == "done"
    return rows.filter(keep)


def curves(rows: pl.DataFrame, metric: str, along: Along) -> list[Curve]:
    """Sort the finished points into curves.

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of a metric column, such as `recall@10`.
        along: The dial that runs along a line of guided or ORM search. A plain beam's line always
            runs over widths, an exhaustive one over λ only when `along` is `weight`.

    Returns:
        The curves, in the order of `SEARCHES`, then as the rows stand.

    Raises:
        ValueError: If there is no such metric.
    """
    found = usable(rows, metric).to_dicts()
    contexts = [
        {name: row.get(name) for name in _CONTEXT if row["search"] not in COUNTS or name in _MEASURED} for row in found
    ]
    values = {name: {context.get(name) for context in contexts} - {None} for name in _CONTEXT}
    # No generator, say, is no choice of one; no further dials is the choice of their defaults.
    further = {context["further"] for context in contexts if "further" in context}
    varying = [name for name in _CONTEXT if len(further if name == "further" else values[name]) > 1]
    crowded = len(further) > MOST_LINES  # too many for colours: then they are treated as search dials are
    if crowded:
        varying.remove("further")
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row, context in zip(found, contexts, strict=True):
        words = [_CONTEXT[name](context[name]) for name in varying if context.get(name) is not None]
        groups.setdefault((row["search"], *words), []).append(row)
    drawn = []
    for (search, *words), members in groups.items():
        dial = "width" if search == "plain" else along
        dials = [_dials(row, crowded) for row in members]
        labels = _labels(search, dials, along)
        lines = len(set(labels))
        scattered = lines > MOST_LINES and len(set(dials)) < 2 * lines
        if scattered:
            labels = [("dials vary",)] * len(members)
        for label in dict.fromkeys(labels):
            mine = [i for i, other in enumerate(labels) if other == label]
            points = _points([members[i] for i in mine], [dials[i] for i in mine], metric)
            points.sort(key=lambda point: getattr(point, dial))
            name = ", ".join([*words, NAMES.get(search, search), *label])
            drawn.append(Curve(name, search, tuple(words), tuple(points), scattered))
    rank = {search: place for place, search in enumerate(SEARCHES)}
    return sorted(drawn, key=lambda curve: rank.get(curve.search, len(rank)))


@dataclass(frozen=True)
class _Dials:
    """A row's search dials: each the number that places it, or the text that names it."""

    width: float
    candidates: float
    weight: float
    width_name: str
    weight_name: str
    control: str
    further: str


def _dials(row: dict[str, Any], further: bool) -> _Dials:
    """Read a row's search dials, leaving out those that cannot act; on request those that no column tells, too."""
    search = row["search"]
    widths = per_level(row.get("search.width")) if search in BEAMS else []
    weights = per_level(row.get("search.weight")) if search in WEIGHTED else []
    candidates = per_level(row.get("search.candidates")) if widths and search != "plain" else widths
    if not candidates and widths:
        candidates = [max(widths) * max(per_level(row.get("search.expansion")), default=1.0)]
    control = row.get("search.control")
    return _Dials(
        width=max(widths, default=math.nan),
        candidates=max(candidates, default=math.nan),
        weight=math.fsum(weights) / len(weights) if weights else math.nan,
        width_name=_name(widths),
        weight_name=_name(weights),
        control="" if control in (None, "none") else str(control),
        further=words_of(row.get("further") or "") if further else "",
    )


def _name(levels: list[float]) -> str:
    return "-".join(f"{value:g}" for value in (levels if len(set(levels)) > 1 else levels[:1]))


def _labels(search: str, dials: list[_Dials], along: Along) -> list[tuple[str, ...]]:
    """Name the dials that tell the rows of one kind of search apart, except those along the line."""
    widths, weights = {dial.width_name for dial in dials}, {dial.weight_name for dial in dials}
    ratios = {dial.candidates / dial.width for dial in dials}
    labels = []
    for dial in dials:
        label = []
        if search in BEAMS and (along == "weight" or (along == "candidates" and search != "plain")):
            label.append(f"W = {dial.width_name}")
        if search in WEIGHTED and search != "exhaustive" and len(ratios) > 1:
            if along == "weight":
                label.append(f"C = {dial.candidates:g}")
            elif along == "width" and len(widths) > 1:
                label.append(f"C = {dial.candidates / dial.width:.3g} W")
        if dial.weight_name and along != "weight" and (search == "exhaustive" or len(weights) > 1):
            label.append(f"λ = {dial.weight_name}")
        labels.append((*label, *(word for word in (dial.control, dial.further) if word)))
    return labels


def _points(rows: list[dict[str, Any]], dials: list[_Dials], metric: str) -> list[Point]:
    """Average the rows that differ in their seed only."""
    groups: dict[_Dials, list[dict[str, Any]]] = {}
    for row, dial in zip(rows, dials, strict=True):
        groups.setdefault(dial, []).append(row)

    def mean(members: list[dict[str, Any]], name: str) -> float:
        return float(np.mean([math.nan if row.get(name) is None else row[name] for row in members]))

    return [
        Point(
            width=dial.width,
            candidates=dial.candidates,
            weight=dial.weight,
            flops=mean(members, "flops_per_user") or math.nan,
            value=mean(members, metric),
            low=mean(members, f"{metric}_low"),
            high=mean(members, f"{metric}_high"),
            seeds=tuple(float(row[metric]) for row in members),
            width_name=dial.width_name,
        )
        for dial, members in groups.items()
    ]
