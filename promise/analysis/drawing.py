"""The marks of a figure: curves, horizontal references, the frontier, direct labels, log axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from promise.analysis.curves import COUNTS, Curve
from promise.analysis.frontier import knee, pareto

# Okabe and Ito's colours, without the yellow that white swallows.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY, PALE, BLACK = "#5c5c5c", "#909090", "#000000"
LABEL_POINTS = 9.0
BESIDE = 7.0  # points between a name's marker and its text
LINES = {"plain": "--", "orm": "-.", "exhaustive": ":", "sasrec": ":", **dict.fromkeys(COUNTS, ":")}
REFERENCES = ("plain", "exhaustive", "sasrec", *COUNTS)
MARKERS = {"plain": "s", "orm": "^", "exhaustive": "D", "sasrec": "P", **dict.fromkeys(COUNTS, "v")}


@dataclass(frozen=True)
class Look:
    """How a curve is drawn, the same in every panel."""

    color: str
    line: str
    marker: str


@dataclass(frozen=True)
class Label:
    """The name of a curve, to be written beside the panel at the height of the curve's last point."""

    y: float
    text: str
    look: Look


def looks(curves: Sequence[Curve]) -> dict[str, Look]:
    """Give every curve (by name) its look: line and marker by kind of search, colour by what differs.

    Where the curves differ in more than search dials, say in the generator, a colour stands for such
    a setting; otherwise guided searches have one colour each, and the rest is black and grey.
    """
    contexts = list(dict.fromkeys(curve.context for curve in curves if curve.context))
    coloured = [curve.name for curve in curves if curve.search not in REFERENCES]
    chosen = {}
    for curve in curves:
        if curve.search in COUNTS:
            color = PALE
        elif len(contexts) > 1 and curve.context:
            color = PALETTE[contexts.index(curve.context) % len(PALETTE)]
        elif curve.name in coloured:
            color = PALETTE[coloured.index(curve.name) % len(PALETTE)]
        else:
            likelihood = curve.search == "plain" or all(point.weight == 0 for point in curve.points)
            color = GREY if likelihood else BLACK
        chosen[curve.name] = Look(color, LINES.get(curve.search, "-"), MARKERS.get(curve.search, "o"))
    return chosen


def draw_line(ax: Axes, curve: Curve, look: Look, xs: Sequence[float], band: bool = True) -> Label:
    """Join a curve's points, with a band (or bars) for the intervals and dots for single seeds."""
    values, low, high = _ends(curve)
    line = "" if curve.scattered else look.line
    style: Any = {"color": look.color, "linestyle": line, "marker": look.marker, "markersize": 5.5}
    ax.plot(xs, values, label=curve.name, linewidth=1.8, zorder=3, **style)
    if band and len(set(xs)) > 1 and not curve.scattered:
        ax.fill_between(xs, low, high, color=look.color, alpha=0.13, linewidth=0, zorder=1)
    else:
        reach = np.nan_to_num(np.abs([values - low, high - values]))
        ax.errorbar(xs, values, reach, fmt="none", ecolor=look.color, elinewidth=1.1, alpha=0.45, zorder=2)
    for x, point in zip(xs, curve.points, strict=True):
        if len(point.seeds) > 1:
            ax.plot([x] * len(point.seeds), point.seeds, ".", color=look.color, alpha=0.5, markersize=4)
    return Label(float(values.max() if curve.scattered else values[-1]), curve.name, look)


def draw_levels(ax: Axes, curve: Curve, look: Look) -> list[Label]:
    """Draw what does not depend on the x axis as horizontal lines, each with its faint interval."""
    labels = []
    bottom, top = ax.get_ylim()
    for value, low, high in zip(*_ends(curve), strict=True):
        text = curve.name
        if bottom <= value <= top:
            ax.axhline(value, label=text, color=look.color, linestyle=look.line, linewidth=1.4, zorder=2)
            ax.axhspan(low, high, color=look.color, alpha=0.05, linewidth=0, zorder=0)
        else:
            text += f" {'↑' if value > top else '↓'} {value:.4f}"
        labels.append(Label(value, text, look))
    return labels


def draw_frontier(ax: Axes, costs: Sequence[float], values: Sequence[float]) -> None:
    """Draw the best accuracy that each cost buys, as a pale step under the points."""
    on = pareto(costs, values)
    order = np.argsort(np.asarray(costs)[on])
    xs, ys = np.asarray(costs)[on][order], np.asarray(values)[on][order]
    xs, ys = np.append(xs, ax.get_xlim()[1]), np.append(ys, ys[-1])
    ax.step(xs, ys, where="post", label="frontier", color="#dcdcdc", linewidth=6, zorder=1.5)


def draw_knee(ax: Axes, costs: Sequence[float], values: Sequence[float]) -> bool:
    """Ring the knee of the frontier; only three points or more can bend.

    Returns:
        Whether there is a knee to ring.
    """
    front = {(costs[i], values[i]) for i in np.flatnonzero(pareto(costs, values)).tolist()}
    bend = knee(costs, values)
    if bend is None or len(front) < 3:
        return False
    place = (costs[bend], values[bend])
    ax.plot(*place, "o", label="knee", color=BLACK, mfc="none", markersize=13, markeredgewidth=1.4, zorder=5)
    ax.annotate(
        "knee", place, xytext=(-8, 9), textcoords="offset points", ha="right", fontsize=LABEL_POINTS, zorder=5,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )  # fmt: skip
    return True


def write_labels(ax: Axes, labels: Sequence[Label]) -> None:
    """Write the names beside the panel, each with its marker, moved apart where they would touch."""
    height = ax.bbox.height / ax.figure.dpi * 72 * 0.9  # points; the layout is yet to take some
    size = min(LABEL_POINTS, height / (1.3 * max(len(labels), 1)))
    bottom, top = ax.get_ylim()
    wanted = np.clip([(label.y - bottom) / (top - bottom) for label in labels], 0, 1)
    outside: Any = {"transform": ax.transAxes, "clip_on": False, "zorder": 4}
    for label, want, place in zip(labels, wanted, spread(wanted, 1.3 * size / height), strict=True):
        color = label.look.color
        ax.plot([1.005, 1.04], [want, place], color=color, linewidth=0.7, alpha=0.7, **outside)
        ax.plot(1.05, place, color=color, marker=label.look.marker, markersize=size / 2, **outside)
        ax.annotate(
            label.text, (1.05, place), xycoords="axes fraction", xytext=(BESIDE, 0), textcoords="offset points",
            va="center", color=color, fontsize=size,
        )  # fmt: skip


def write_widths(ax: Axes, curve: Curve, look: Look, xs: Sequence[float], taken: list[tuple[float, float]]) -> None:
    """Write the widths under a curve that runs over them, leaving out those that have no room.

    Args:
        ax: The panel, with a logarithmic x axis.
        curve: The curve, and `look` how it is drawn.
        look: As `looks` gives it.
        xs: Place of each point along x.
        taken: Places of the labels written so far, as shares of the panel; the new ones are added.
    """
    (left, right), (bottom, top) = np.log(ax.get_xlim()), ax.get_ylim()
    text = "W = "
    for x, point in sorted(zip(xs, curve.points, strict=True), key=lambda pair: pair[0]):
        text += point.width_name
        place = (math.log(x) - left) / (right - left), (point.value - bottom) / (top - bottom)
        room = 0.025 + 0.008 * len(text)
        if all(abs(place[0] - h) >= room or abs(place[1] - v) >= 0.04 for h, v in taken):
            ax.annotate(
                text, (x, point.value), xytext=(4, -12), textcoords="offset points",
                ha="left", fontsize=8, color=look.color, zorder=5,
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
            )  # fmt: skip
            taken.append(place)
        text = ""


def spread(wanted: ArrayLike, gap: float) -> NDArray[np.float64]:
    """Move places in [0, 1] as little as it takes to keep them a gap apart.

    Args:
        wanted: (n,) places, in any order.
        gap: Least distance between two places.

    Returns:
        (n,) places in the same order; they start at 0 or above, and end at 1 if they fit at all.

    Example:
        >>> spread([0.5, 0.5, 1.0], 0.2).round(6).tolist()
        [0.4, 0.6, 1.0]
    """
    places = np.asarray(wanted, dtype=np.float64)
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    blocks: list[tuple[float, int]] = []  # (mean, size): the closest non-decreasing sequence
    for place in places[order] - steps:
        mean, size = float(place), 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    level = np.repeat([mean for mean, _ in blocks], [size for _, size in blocks])
    moved = np.empty_like(places)
    moved[order] = np.clip(level, 0, max(1 - steps[-1], 0) if len(steps) else 1) + steps
    return moved


def log_axis(ax: Axes, values: Sequence[float], at_values: bool) -> None:
    """Make the x axis logarithmic, with plain numbers at the ticks.

    Args:
        ax: The panel.
        values: The positive values drawn along x; none = an axis without ticks.
        at_values: Put the ticks at the values themselves where there is room.
    """
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    margin = max((high / low) ** 0.06, 1.06) if high > low else 2.0
    low, high = low / margin, high * margin
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ticks = log_ticks(low, high, sorted(set(values)) if at_values else ()) if values else []
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FixedFormatter([plain_number(tick) for tick in ticks]))
    ax.xaxis.set_minor_locator(NullLocator())


def log_ticks(low: float, high: float, values: Sequence[float] = ()) -> list[float]:
    """Choose ticks in [low, high] whose labels do not touch: of the values, or else round numbers.

    Args:
        low: Left end of the axis, > 0.
        high: Right end.
        values: Places that ticks may have, rising; none = 1, 2, 5, 10, ...

    Returns:
        The places, rising.
    """
    span = math.log(high / low)

    def fits(left: float, right: float) -> bool:
        characters = len(plain_number(left)) + len(plain_number(right))
        return math.log(right / left) / span >= 0.02 + 0.0095 * characters

    if values:
        ticks = [values[-1]]
        for value in reversed(values[:-1]):
            if fits(value, ticks[-1]):
                ticks.append(value)
        return ticks[::-1]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if all(fits(left, right) for left, right in pairwise(ticks)):
            break
    if len(ticks) < 3:
        ticks = [tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
    return ticks[:: math.ceil(len(ticks) / 10)]


def plain_number(value: float) -> str:
    """Write a tick as people do: `0.5`, `20`, `12,500`."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _ends(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return values and interval ends (n,); an interval that is missing has no extent."""
    values, low, high = np.array([(point.value, point.low, point.high) for point in curve.points]).T
    return values, np.where(np.isnan(low), values, low), np.where(np.isnan(high), values, high)
