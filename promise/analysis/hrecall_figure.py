"""How many true prefixes each search keeps, level by level, and what that is beside a plain beam of the same width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, takewhile

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from promise.analysis.curves import Curve, curves, usable
from promise.analysis.drawing import GREY, Label, Look, looks, write_labels
from promise.analysis.figures import STYLE, name_figure
from promise.analysis.law_figure import wilson

NOTE = (
    "HRecall at a level: share of users whose true prefix is among the beams kept there. Of each line over C, the "
    "point with the largest C.\nLeft: bars, 95 % interval of a share (Wilson). Right: no intervals, as a table of "
    "results holds none for differences."
)
SHOWN = frozenset(("plain", "guided"))  # an ORM carries C beams, not W: its shares are of another kind
MOST = 6  # lines that a panel can name


@dataclass(frozen=True)
class Kept:
    """What one search keeps.

    Attributes:
        name: What a reader sees, such as `guided, W = 20, C = 200`.
        search: Kind of search.
        width: Beams (the largest of the levels').
        group: What a plain beam must share to be compared with it.
        users: Users behind a share.
        shares: (L,) HRecall by level, each in [0, 1].
        look: How it is drawn.
    """

    name: str
    search: str
    width: float
    group: tuple[str, ...]
    users: int
    shares: tuple[float, ...]
    look: Look


def levels_of(rows: pl.DataFrame) -> list[str]:
    """The columns of HRecall, level by level."""
    return list(takewhile(lambda name: name in rows.columns, (f"hrecall@{level}" for level in count(1))))


def kept_prefixes(rows: pl.DataFrame) -> list[Kept]:
    """The searches to show: of every curve over C the last point, of plain beams those of the same widths.

    Args:
        rows: A table as `results_table` makes it.

    Returns:
        Searches as they stand in other figures, of many guided ones those that keep most at the last level; none where
        no row has HRecall at every level, or dials were drawn at random.
    """
    names = levels_of(rows)
    if not names:
        return []
    per_level = [curves(rows, name, "candidates") for name in names]
    drawn = [curve for curve in per_level[0] if curve.search in SHOWN]
    if any(curve.scattered for curve in drawn):
        return []
    style = looks(drawn)
    judged = sorted((curve for curve in per_level[-1] if curve.search in SHOWN - {"plain"}),
                    key=lambda curve: -curve.points[-1].value)  # fmt: skip
    best = {curve.name for curve in judged[:MOST]}
    guided = {curve.points[-1].width_name for curve in judged[:MOST]}
    users = int(usable(rows, names[0])["users"].max() or 0) if "users" in rows.columns else 0  # type: ignore[arg-type]
    found = []
    for curve in (curve for curve in drawn if curve.search == "plain" or curve.name in best):
        same = [_named(each, curve.name) for each in per_level]
        if any(each is None or len(each.points) != len(curve.points) for each in same):
            continue
        last = range(len(curve.points) - 1, len(curve.points))
        if curve.search == "plain":
            last = range(len(curve.points))
        for place in last:
            point = curve.points[place]
            if curve.search == "plain" and guided and point.width_name not in guided:
                continue
            words = [f"W = {point.width_name}"] if curve.search == "plain" else [f"C = {point.candidates:g}"]
            shares = tuple(each.points[place].value for each in same if each is not None)
            name = ", ".join([curve.name, *words])
            found.append(Kept(name, curve.search, point.width, curve.context, users, shares, style[curve.name]))
    return found


def hrecall_figure(rows: pl.DataFrame, metric: str = "hrecall@1") -> Figure:
    """Draw HRecall per level, and its difference to the plain beam of the same width.

    Args:
        rows: A table as `results_table` makes it.
        metric: Metric that decides which points count as finished.

    Returns:
        A figure of two panels; the right one is empty, and says so, where no plain beam has the width of a guided one.

    Raises:
        ValueError: If no finished search has HRecall.
    """
    found = kept_prefixes(rows)
    if not found:
        raise ValueError("hrecall@1 must be a column of the results with a value for some search with beams, got none")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11.4, 4.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.set_title("True prefix still among the beams", loc="left")
        left.set_ylabel("HRecall (share of users, log scale)")
        left.set_yscale("log")
        shares = np.array([share for kept in found for share in kept.shares if share > 0])
        left.set_ylim(*_range(shares))
        _log_ticks(left)
        _draw(left, [(kept, np.array(kept.shares)) for kept in found], bars=True)
        right.set_title("Beside the plain beam of the same width", loc="left")
        right.set_ylabel("difference in HRecall (percentage points)")
        gains = [(kept, 100 * gain) for kept in found if (gain := gain_over_plain(kept, found)) is not None]
        if gains:
            right.axhline(0, color=GREY, linestyle="--", linewidth=1.2, zorder=1)
            _draw(right, gains, bars=False)
        else:
            notice = "no plain beam of the same width"
            right.text(0.5, 0.5, notice, transform=right.transAxes, ha="center", color=GREY)
            _levels_axis(right, len(found[0].shares))
        name_figure(figure, rows.filter(pl.col("search").is_in(SHOWN)), metric, NOTE)
    return figure


def gain_over_plain(kept: Kept, found: Sequence[Kept]) -> NDArray[np.float64] | None:
    """HRecall (L,) minus that of the plain beam of the same width and networks; None for it, or without one."""
    if kept.search == "plain":
        return None
    for other in found:
        same = (other.width, other.group) == (kept.width, kept.group)
        if other.search == "plain" and same and len(other.shares) == len(kept.shares):
            return np.array(kept.shares) - np.array(other.shares)
    return None


def _named(drawn: Sequence[Curve], name: str) -> Curve | None:
    return next((curve for curve in drawn if curve.name == name), None)


def _range(shares: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of the logarithmic axis."""
    low = float(shares.min()) / 1.35 if len(shares) else 0.01
    return low, 1.0 if low < 0.95 else 1.05


def _log_ticks(ax: Axes) -> None:
    """Ticks as people write them: 0.1, 0.2, 0.5, 1."""
    low, high = ax.get_ylim()
    decades = range(math.floor(math.log10(low)), 1)
    ticks = [step * 10.0**decade for decade in decades for step in (1, 2, 3, 5, 7)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_yticks([], minor=True)


def _levels_axis(ax: Axes, levels: int) -> None:
    ax.set_xticks(range(1, levels + 1))
    ax.set_xlim(0.8, levels + 0.2)
    ax.set_xlabel("level of the semantic ID")
    ax.xaxis.grid(False)


def _draw(ax: Axes, lines: Sequence[tuple[Kept, NDArray[np.float64]]], bars: bool) -> None:
    """Join the levels of every search and write its name beside the last."""
    labels = []
    for kept, values in lines:
        places, look = np.arange(1, len(values) + 1), kept.look
        ax.plot(places, values, look.line, marker=look.marker, color=look.color, label=kept.name, linewidth=1.8,
                markersize=5.5, zorder=3)  # fmt: skip
        if bars and kept.users:
            low, high = wilson(values, kept.users)
            reach = [values - low, high - values]
            ax.errorbar(places, values, reach, fmt="none", ecolor=look.color, elinewidth=1.1, alpha=0.45, zorder=2)
        labels.append((float(values[-1]), kept))
    _levels_axis(ax, max(len(values) for _, values in lines))
    bottom, top = ax.get_ylim()
    if ax.get_yscale() == "log":  # names are placed by shares of the panel
        share = math.log(top / bottom)
        labels = [
            (bottom + (top - bottom) * math.log(max(height, bottom) / bottom) / share, kept) for height, kept in labels
        ]
    write_labels(ax, [Label(height, kept.name, kept.look) for height, kept in labels])
