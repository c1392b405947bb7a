"""Figures over the levels of semantic IDs: what the reward is worth at which of them, and where prefixes are lost.

Tables are as `results_table` makes them; a metric that is no column of them raises ValueError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, takewhile

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from promise.analysis.plots import drawing
from promise.analysis.plots.accuracy import looks
from promise.analysis.plots.curves import BEAMS, SearchPoint, curves, usable

DEPTH_NOTE = (
    "Bars: 95 % bootstrap interval over users. At the other levels the likelihood alone selects.\n"
    "ORM: all candidates are kept to the end, and ranked once by the reward."
)
HRECALL_NOTE = (
    "HRecall at a level: share of users whose true prefix is among the beams kept there. Of each line over C, the "
    "point with the largest C.\nLeft: bars, 95 % interval of a share (Wilson). Right: no intervals, as a table of "
    "results holds none for differences."
)
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
MOST = 6
"""Guided searches that a panel of HRecall shows."""


def depth_settings(rows: pl.DataFrame, metric: str = "recall@10") -> tuple[str, list[tuple[str, str, SearchPoint]]]:
    """The settings of one width and C, those with the fewest rewarded levels first.

    Returns:
        Which dials they share; of each setting its name, such as `levels 3, 4`, its kind of search and its point. No
        setting where no row gives the reward to some levels only.
    """
    drawn = [curve for curve in curves(rows, metric, "candidates") if curve.search in BEAMS]
    found = [(curve, point, rewarded_levels(point)) for curve in drawn for point in curve.points]
    keys = [(curve.context, p.width_name, p.candidates, max(p.weights, default=0.0)) for curve, p, _ in found]
    partly = [
        key for key, (curve, point, levels) in zip(keys, found, strict=True)
        if curve.search == "guided" and 0 < len(levels) < len(point.weights)
    ]  # fmt: skip
    if not partly:
        return "", []
    shared = max(dict.fromkeys(partly), key=partly.count)
    depth = max(len(point.weights) for _, point, _ in found)
    settings: list[tuple[tuple[int, ...], tuple[str, str, SearchPoint]]] = []
    for key, (curve, point, levels) in zip(keys, found, strict=True):
        if curve.search == "plain" and key[:2] == shared[:2]:
            settings.append(((0,), ("no level (plain beam)", curve.search, point)))
        elif curve.search == "orm" and key == shared:
            settings.append(((2,), ("ORM", curve.search, point)))
        elif curve.search == "guided" and key == shared:
            everywhere = len(levels) in (len(point.weights), depth)
            count_of = depth if everywhere else len(levels)
            name = f"level {levels[0]} only" if count_of == 1 else f"levels {', '.join(map(str, levels))}"
            name = f"all {depth} levels" if everywhere else name
            settings.append(((1, count_of, *levels), (name, curve.search, point)))
    context, width, candidates, weight = shared
    words = (*context, f"W = {width}", f"C = {candidates:g}", f"λ = {weight:g}")
    return ", ".join(words), [setting for _, setting in sorted(settings, key=lambda each: each[0])]


def rewarded_levels(point: SearchPoint) -> tuple[int, ...]:
    """The levels at which λ is above 0."""
    return tuple(level for level, weight in enumerate(point.weights, start=1) if weight > 0)


def depth_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy by the levels at which the reward selects, a line for each setting.

    Raises:
        ValueError: If no row gives the reward to some levels only.
    """
    shared, settings = depth_settings(rows, metric)
    if not settings:
        raise ValueError("search.weight must be 0 at some levels and above 0 at others in some row, got no such row")
    with drawing.sweep_page(rows, metric, (8.4, 1.9 + 0.4 * len(settings)), DEPTH_NOTE) as figure:
        ax = figure.subplots()
        looks = {"plain": (drawing.GREY, "s"), "guided": (drawing.BLUE, "o"), "orm": (drawing.BLACK, "^")}
        for place, (_, search, point) in enumerate(settings):
            color, marker = looks[search]
            reach = np.nan_to_num([[point.value - point.low], [point.high - point.value]])
            ax.errorbar(point.value, place, xerr=reach, fmt=marker, color=color, markersize=7)
            ax.annotate(f"{point.value:.4f}", (point.value, place), xytext=(0, 7), textcoords="offset points",
                        ha="center", fontsize=9, color=color)  # fmt: skip
        ax.set_yticks(range(len(settings)), [name for name, *_ in settings])
        ax.set_ylim(len(settings) - 0.4, -0.7)
        ax.yaxis.grid(False)
        ax.set_xlabel(drawing.metric_name(metric))
        ax.set_title(f"Accuracy by the levels at which the reward selects ({shared})")
    return figure


@dataclass(frozen=True)
class KeptPrefixes:
    """Shares of true prefixes that one search keeps.

    Attributes:
        name: What a reader sees, such as `guided, W = 20, C = 200`.
        search: Kind of search.
        width: Beams (the largest of the levels').
        context: What a plain beam must share to be compared with it.
        shares: (L,) HRecall by level, each in [0, 1].
        look: How it is drawn.
    """

    name: str
    search: str
    width: float
    context: tuple[str, ...]
    shares: tuple[float, ...]
    look: drawing.Look


def kept_prefixes(rows: pl.DataFrame) -> list[KeptPrefixes]:
    """The searches to show: of every guided curve over C the last point, of plain beams those of the same widths.

    Returns:
        Searches as they stand in other figures, of many guided ones those that keep most at the last level; none where
        no row has HRecall at every level, or dials were drawn at random. An ORM carries C beams, not W: its shares are
        of another kind.
    """
    names = list(takewhile(lambda name: name in rows.columns, (f"hrecall@{level}" for level in count(1))))
    by_level = [{curve.name: curve for curve in curves(rows, name, "candidates")} for name in names]
    drawn = [curve for curve in (by_level[0].values() if names else ()) if curve.search in ("plain", "guided")]
    if any(curve.scattered for curve in drawn):
        return []
    style, found = looks(drawn), []
    for curve in drawn:
        same = [each[curve.name].points for each in by_level if curve.name in each]
        if len(same) < len(names) or len({len(points) for points in same}) > 1:
            continue
        for place in range(len(curve.points)) if curve.search == "plain" else (-1,):
            point, shares = curve.points[place], tuple(points[place].value for points in same)
            dial = f"W = {point.width_name}" if curve.search == "plain" else f"C = {point.candidates:g}"
            about = curve.search, point.width, curve.context
            found.append(KeptPrefixes(f"{curve.name}, {dial}", *about, shares, style[curve.name]))
    guided = sorted((each for each in found if each.search == "guided"), key=lambda each: -each.shares[-1])[:MOST]
    widths = {each.width for each in guided or found}
    return [each for each in found if each in guided or (each.search == "plain" and each.width in widths)]


def gain_over_plain(kept: KeptPrefixes, found: Sequence[KeptPrefixes]) -> NDArray[np.float64] | None:
    """HRecall (L,) minus that of the plain beam of the same width and networks; None for it, or without one."""
    for other in found if kept.search != "plain" else ():
        if other.search == "plain" and (other.width, other.context) == (kept.width, kept.context):
            return np.array(kept.shares) - np.array(other.shares)
    return None


def hrecall_figure(rows: pl.DataFrame, metric: str = "hrecall@1") -> Figure:
    """Draw HRecall per level, and its difference to the plain beam of the same width.

    The right panel is empty, and says so, where no plain beam has the width of a guided one.

    Raises:
        ValueError: If no finished search has HRecall.
    """
    found = kept_prefixes(rows)
    if not found:
        raise ValueError("hrecall@1 must be a column of the results with a value for some search with beams, got none")
    rows = rows.filter(pl.col("search").is_in(("plain", "guided")))
    users = int(usable(rows, metric)["users"].max() or 0) if "users" in rows.columns else 0  # type: ignore[arg-type]
    places = np.arange(1, len(found[0].shares) + 1)
    with drawing.sweep_page(rows, metric, (13.0, 4.8), HRECALL_NOTE) as figure:
        left, right = figure.subplots(1, 2)
        left.set(title="True prefix still among the beams", ylabel="HRecall (share of users, log scale)", yscale="log")
        right.set(title="Beside the plain beam of the same width", ylabel="difference in HRecall (percentage points)")
        right.axhline(0, color=drawing.GREY, linewidth=1.2, zorder=1)
        for kept in found:
            ends = drawing.wilson(kept.shares, users) if users else (kept.shares, kept.shares)
            drawing.series(left, places, kept.shares, ends, kept.name, kept.look)
            gain = gain_over_plain(kept, found)
            if gain is not None:
                right.plot(
                    places, 100 * gain, kept.look.line, marker=kept.look.marker, color=kept.look.color, label=kept.name
                )
        if len(right.lines) == 1:
            notice = "no plain beam of the same width"
            right.text(0.5, 0.6, notice, transform=right.transAxes, ha="center", color=drawing.GREY)
        ticks = [tick for tick in TICKS if tick >= left.get_ylim()[0]]
        left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        left.set_yticks([], minor=True)
        for ax in (left, right):
            drawing.level_axis(ax, len(places))
    return figure
