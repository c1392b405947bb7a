"""From the rows of a sweep to named curves: which points belong to one line, and what it is called."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
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
"""Names of kinds of search in figures, where they are not those of the rows."""
BEAMS = frozenset(("plain", "guided", "orm"))
"""The searches that have a width."""
WEIGHTED = frozenset(("guided", "orm", "exhaustive"))
"""The searches in which λ acts."""
MOST_LINES = 8
"""Of one kind of search, lines that a reader can tell apart; where more of them are single points, none is joined."""


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
_MEASURED = ("data", "split", "users", "seen")


@dataclass(frozen=True)
class SearchPoint:
    """One setting of the search's dials with its accuracy, averaged over seeds.

    Attributes:
        width: Beams kept (the largest of the levels'); NaN for a search without beams.
        candidates: Paths scored before the cut to width (the largest of the levels'); NaN likewise.
        weight: λ in [0, 1] (the mean of the levels'); NaN where it does not act.
        width_name: The width as a reader sees it: `20`, or `50-20-20` when it is per level.
        weights: λ by level, or one for all; empty where it does not act.
        others: Further dials to name: a control, options without a column.
        flops: FLOPs per user; NaN when unknown or 0.
        value: The metric, mean over users and seeds.
        low: Lower end of its interval (mean over seeds); NaN when there is none.
        high: Upper end.
        seeds: The metric of every seed.
    """

    width: float
    candidates: float
    weight: float
    width_name: str
    weights: tuple[float, ...]
    others: tuple[str, ...]
    flops: float
    value: float
    low: float
    high: float
    seeds: tuple[float, ...]

    @property
    def dials(self) -> tuple[Any, ...]:
        """Key that points share which are seeds of each other."""
        return self.width_name, str(self.candidates), self.weights, self.others


@dataclass(frozen=True)
class SearchCurve:
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
    points: tuple[SearchPoint, ...]
    scattered: bool = False

    def along(self, field: str) -> np.ndarray:
        """(points,) a number of every point, such as `value` or `flops`."""
        return np.array([getattr(point, field) for point in self.points], dtype=np.float64)


def usable(rows: pl.DataFrame, metric: str) -> pl.DataFrame:
    """The rows of finished points that have the metric, of a table as `results_table` makes it.

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


def curves(rows: pl.DataFrame, metric: str, along: Along) -> list[SearchCurve]:
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
    for row in found:
        row["further"] = row.get("further") or ""  # no further dials is the choice of their defaults
    contexts = [
        {name: row.get(name) for name in _CONTEXT if row["search"] not in COUNTS or name in _MEASURED} for row in found
    ]
    values = {name: {context.get(name) for context in contexts} - {None} for name in _CONTEXT}
    varying = [name for name in _CONTEXT if len(values[name]) > 1]
    crowded = len(values["further"]) > MOST_LINES  # too many for colours: then they are treated as search dials are
    if crowded:
        varying.remove("further")
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row, context in zip(found, contexts, strict=True):
        named = (_CONTEXT[name](context[name]) for name in varying if context.get(name) is not None)
        groups.setdefault((row["search"], *filter(None, named)), []).append(row)
    drawn = []
    for (search, *words), members in groups.items():
        found_points = [_point(row, metric, crowded) for row in members]
        labels = _labels(search, found_points, along)
        lines = len(set(labels))
        scattered = lines > MOST_LINES and len({point.dials for point in found_points}) < 2 * lines
        same: dict[str, dict[tuple[Any, ...], list[SearchPoint]]] = {}
        for point, label in zip(found_points, labels, strict=True):
            same.setdefault("dials vary" if scattered else label, {}).setdefault(point.dials, []).append(point)
        order = attrgetter("width" if search == "plain" else along)
        for label, seeds in same.items():
            points = tuple(sorted(map(_mean, seeds.values()), key=order))
            name = ", ".join(word for word in (*words, NAMES.get(search, search), label) if word)
            drawn.append(SearchCurve(name, search, tuple(words), points, scattered))
    rank = {search: place for place, search in enumerate(SEARCHES)}
    return sorted(drawn, key=lambda curve: rank.get(curve.search, len(rank)))


def _point(row: dict[str, Any], metric: str, further: bool) -> SearchPoint:
    """Read a row, leaving out dials that cannot act; on request those that no column tells are named, too."""
    search = row["search"]
    widths = per_level(row.get("search.width")) if search in BEAMS else []
    weights = per_level(row.get("search.weight")) if search in WEIGHTED else []
    candidates = per_level(row.get("search.candidates")) if widths and search != "plain" else widths
    if not candidates and widths:
        candidates = [max(widths) * max(per_level(row.get("search.expansion")), default=1.0)]
    control = row.get("search.control")
    others = "" if control in (None, "none") else str(control), words_of(row["further"]) if further else ""
    numbers = {name: row.get(name) for name in ("flops_per_user", f"{metric}_low", f"{metric}_high")}
    flops, low, high = (math.nan if value is None else value for value in numbers.values())
    return SearchPoint(
        width=max(widths, default=math.nan),
        candidates=max(candidates, default=math.nan),
        weight=math.fsum(weights) / len(weights) if weights else math.nan,
        width_name=spelled(widths),
        weights=tuple(weights),
        others=tuple(filter(None, others)),
        flops=flops or math.nan,
        value=float(row[metric]),
        low=low,
        high=high,
        seeds=(float(row[metric]),),
    )


def _mean(seeds: list[SearchPoint]) -> SearchPoint:
    """One point of those that differ in their seed only."""
    flops, value, low, high = np.mean([(p.flops, p.value, p.low, p.high) for p in seeds], axis=0).tolist()
    values = tuple(point.value for point in seeds)
    return replace(seeds[0], flops=flops, value=value, low=low, high=high, seeds=values)


def spelled(levels: Sequence[float]) -> str:
    """A dial's numbers per level as a reader sees them.

    >>> spelled([20.0, 20.0]), spelled([50.0, 20.0, 20.0])
    ('20', '50-20-20')
    """
    return "-".join(f"{value:g}" for value in (levels if len(set(levels)) > 1 else levels[:1]))


def _labels(search: str, points: list[SearchPoint], along: Along) -> list[str]:
    """Name the dials that tell the points of one kind of search apart, except those along the line."""
    widths, weights = {point.width_name for point in points}, {point.weights for point in points}
    ratios = {point.candidates / point.width for point in points}
    labels = []
    for point in points:
        label = []
        if search in BEAMS and (along == "weight" or (along == "candidates" and search != "plain")):
            label.append(f"W = {point.width_name}")
        if search in WEIGHTED and search != "exhaustive" and len(ratios) > 1:
            if along == "weight":
                label.append(f"C = {point.candidates:g}")
            elif along == "width" and len(widths) > 1:
                label.append(f"C = {point.candidates / point.width:.3g} W")
        if point.weights and along != "weight" and (search == "exhaustive" or len(weights) > 1):
            label.append(f"λ = {spelled(point.weights)}")
        labels.append(", ".join([*label, *point.others]))
    return labels
