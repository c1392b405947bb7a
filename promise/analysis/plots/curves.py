"""From the rows of a sweep to named curves: which points belong to one line, and what it is called."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import PurePath
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
    "last_level": "reward at the last level alone",
    "reward_beam": "reward beam",
}
"""Names of kinds of search in figures, where they are not those of the rows."""
BEAMS = frozenset(("plain", "guided", "orm"))
"""The searches that have a width."""
WEIGHTED = frozenset(("guided", "orm", "exhaustive"))
"""The searches in which λ acts."""


def words_of(overrides: str | None) -> str:
    """Overrides as a label says them: the last part of every name, and its value.

    >>> words_of("training.negatives=hard generator.dropout=0.3")
    'negatives hard, dropout 0.3'
    """
    pairs = (override.partition("=") for override in (overrides or "").split())
    return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, _, value in pairs)


# What a point depends on besides its search dials, and how its value reads in a label.
_CONTEXT: dict[str, Callable[[Any], str]] = {
    "data": str,
    "split": str,
    "users": "{:,} users".format,
    "seen": protocol,
    "generator": str,
    "reward": str,
    "training": str,
    "search.temperature": "temperature {:g}".format,
    "search.file": lambda file: PurePath(file).name,
    "allow": lambda items: f"allow {items}" if items else "",
    "deny": lambda items: f"deny {items}" if items else "",
    "cooccurrence.scale": lambda scale: f"scale {scale:g}" if scale else "",
    "search.adaptive": lambda told: told or "",
    "search.adaptive_cap": lambda most: f"cap {most:g}" if most else "",
    "further": words_of,
}
_OF_COUNTS = {name: _CONTEXT[name] for name in ("data", "split", "users", "seen", "search.file", "allow", "deny")} | {
    "further": lambda told: words_of(" ".join(re.findall(r"(?<!\S)(?:data\.|experiment=)\S+", told or "")))
}
"""The same of a search without networks."""
_OR_NOT = ("allow", "deny", "cooccurrence.scale", "search.adaptive", "search.adaptive_cap", "further")
"""Those that a point without a value differs in from one with a value."""


@dataclass(frozen=True)
class SearchPoint:
    """One setting of the search's dials with its accuracy, averaged over seeds.

    Attributes:
        widths: Beams kept by level, or one number for all; empty for a search without beams.
        candidates: Paths scored before the cut to width (the largest of the levels'); NaN likewise.
        weights: λ in [0, 1] by level, or one for all; empty where it does not act.
        control: Name of the control that the point is; empty for none.
        flops: FLOPs per user; NaN when unknown or 0.
        value: The metric, mean over users and seeds.
        low: Lower end of its interval (mean over seeds); NaN when there is none.
        high: Upper end.
        seeds: The metric of every seed.
    """

    widths: tuple[float, ...]
    candidates: float
    weights: tuple[float, ...]
    control: str
    flops: float
    value: float
    low: float
    high: float
    seeds: tuple[float, ...]

    @property
    def width(self) -> float:
        """The largest width; NaN for a search without beams."""
        return max(self.widths, default=math.nan)

    @property
    def weight(self) -> float:
        """The mean λ; NaN where it does not act."""
        return math.fsum(self.weights) / len(self.weights) if self.weights else math.nan


@dataclass(frozen=True)
class SearchCurve:
    """The points of one line, in the order in which they are joined.

    Attributes:
        name: What a reader sees, such as `guided, W = 20`; no two curves of a figure share it.
        search: Kind of search, as in the rows.
        context: The settings in which the curves of the figure differ besides search dials.
        points: At least one point.
        scattered: Whether a study drew the dials: there is no line to join the points by.
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
    """The rows of finished points that have the metric, of a table as `results_table` makes it."""
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
    """
    found = usable(rows, metric).to_dicts()
    contexts = [
        {
            name: words(row.get(name))
            for name, words in (_OF_COUNTS if row["search"] in COUNTS else _CONTEXT).items()
            if row.get(name) is not None or name in _OR_NOT
        }
        for row in found
    ]
    if "trial" in rows.columns:  # each has its own, and is a dot of its own
        contexts = [{name: told for name, told in context.items() if name != "further"} for context in contexts]
    varying = [name for name in _CONTEXT if len({context[name] for context in contexts if name in context}) > 1]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row, context in zip(found, contexts, strict=True):
        named = filter(None, (context.get(name) for name in varying))
        groups.setdefault((row["search"], *named), []).append(row)
    drawn = []
    for (search, *words), its_rows in groups.items():
        scattered = "trial" in rows.columns and search in BEAMS
        members = [_point(row, metric) for row in its_rows]
        labels = _labels(search, members, along) if search in BEAMS else _dials(search, its_rows, members, along)
        same: dict[str, dict[Any, list[SearchPoint]]] = {}
        for row, point, label in zip(its_rows, members, labels, strict=True):
            seeds = same.setdefault("dials vary" if scattered else label, {})
            dials = (
                point.widths, str(point.candidates), str(row.get("search.candidates")), point.weights, row.get("trial"),
                row.get("data_fingerprint"),
            )  # fmt: skip
            seeds.setdefault(dials, []).append(point)
        for label, by_dials in same.items():
            order = attrgetter("width" if search == "plain" else along)
            points = tuple(sorted(map(_mean, by_dials.values()), key=order))
            name = ", ".join(word for word in (*words, NAMES.get(search, search), label) if word)
            drawn.append(SearchCurve(name, search, tuple(words), points, scattered))
    rank = {search: place for place, search in enumerate(SEARCHES)}
    return sorted(drawn, key=lambda curve: rank.get(curve.search, len(rank)))


def _point(row: dict[str, Any], metric: str) -> SearchPoint:
    """Read a row, leaving out dials that cannot act."""
    search = row["search"]
    widths = _one_if_equal(per_level(row.get("search.width"))) if search in BEAMS else ()
    candidates = per_level(row.get("search.candidates")) if widths and search != "plain" else widths
    if not candidates and widths:
        candidates = [max(widths) * max(per_level(row.get("search.expansion")), default=1.0)]
    control = row.get("search.control") or "none"
    numbers = (row.get(name) for name in ("flops_per_user", f"{metric}_low", f"{metric}_high"))
    flops, low, high = (math.nan if value is None else value for value in numbers)
    return SearchPoint(
        widths=widths,
        candidates=max(candidates, default=math.nan),
        weights=_one_if_equal(per_level(row.get("search.weight"))) if search in WEIGHTED else (),
        control="" if control == "none" else control,
        flops=flops or math.nan,
        value=float(row[metric]),
        low=low,
        high=high,
        seeds=(float(row[metric]),),
    )


def _one_if_equal(levels: Sequence[float]) -> tuple[float, ...]:
    """One number for all levels, where they agree."""
    return tuple(levels if len(set(levels)) > 1 else levels[:1])


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
    return "-".join(f"{value:g}" for value in _one_if_equal(levels))


def _labels(search: str, points: list[SearchPoint], along: Along) -> list[str]:
    """Name the dials that tell the points of one kind of search apart, except those along the line."""
    widths, weights = {p.widths for p in points}, {p.weights for p in points}
    several = len({p.candidates / p.width for p in points}) > 1
    judged = search in WEIGHTED and search != "exhaustive"
    names_width = search in BEAMS and (along == "weight" or (along == "candidates" and judged))
    names_weight = along != "weight" and (search == "exhaustive" or len(weights) > 1)
    labels = []
    for p in points:
        label = [f"W = {spelled(p.widths)}"] if names_width else []
        if judged and several and along == "weight":
            label.append(f"C = {p.candidates:g}")
        elif judged and several and along == "width" and len(widths) > 1:
            label.append(f"C = {p.candidates / p.width:.3g} W")
        if p.weights and (names_weight or (along == "weight" and len(p.weights) > 1)):
            label.append(f"λ = {spelled(p.weights)}")
        labels.append(", ".join([*label, *([p.control] if p.control else [])]))
    return labels


def _dials(search: str, rows: list[dict[str, Any]], points: list[SearchPoint], along: Along) -> list[str]:
    """Name all dials that tell the points of a kind of search without a line apart: only seeds may be averaged."""
    told = {*_CONTEXT, "search.control", "search.expansion", *(["search.weight"] if search in WEIGHTED else ())}
    names = [name for name in rows[0] if name.startswith("search.") and name not in told]
    varying = [name for name in names if len({str(row[name]) for row in rows}) > 1]
    short = {"search.width": "W =", "search.candidates": "C ="}
    words = [
        [
            f"{short.get(name, name.removeprefix('search.'))} {str(row[name]).strip('[]').replace(', ', '-')}"
            for name in varying
        ]
        for row in rows
    ]
    labels = zip(_labels(search, points, along), words, strict=True)
    return [", ".join(filter(None, (label, *each))) for label, each in labels]
