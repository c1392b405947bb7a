"""Accuracy against candidates, against compute and against λ; tables are as `results_table` makes them."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.plots import drawing
from promise.analysis.plots.curves import BEAMS, COUNTS, WEIGHTED, SearchCurve, curves, spelled

LINES = {"plain": "--", "orm": "-.", "exhaustive": ":", "sasrec": ":"}
LINES |= zip(COUNTS, itertools.cycle((":", "-.", "--")))
MARKERS = {"plain": "s", "orm": "^", "exhaustive": "D", "sasrec": "P", **dict.fromkeys(COUNTS, "v")}
REFERENCES = ("plain", "exhaustive", "sasrec", *COUNTS)


def candidates_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy against candidates (left) and FLOPs per user (right); points without the metric are left out."""
    drawn = curves(rows, metric, "candidates")
    if all(len(curve.points) == 1 for curve in drawn if curve.search in WEIGHTED):
        drawn = curves(rows, metric, "width")  # one C for each width: widths are what a line joins
    with _sweep_figure(rows, metric, drawn, panels=2) as figure:
        left, right = figure.axes
        places = [x for curve in drawn for x in curve.along("candidates") if np.isfinite(x)]
        per_level = any(len(point.widths) > 1 for curve in drawn for point in curve.points)
        left.set_title("Accuracy against candidates (plain beam: C = W)")
        left.set_xlabel(f"Candidates C scored {'at the widest' if per_level else 'per'} level (paths, log scale)")
        drawing.log_axis(left, places)
        _draw(left, drawn, "candidates")
        _cost_panel(right, drawn)
    return figure


def frontier_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy against FLOPs per user, one line per generator and kind of search; the frontier, and its knee."""
    drawn = curves(rows, metric, "width")
    with _sweep_figure(rows, metric, drawn, panels=1) as figure:
        _cost_panel(figure.axes[0], drawn)
    return figure


def weight_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy against λ, the weight of the reward model; searches without λ are horizontal lines."""
    drawn = curves(rows, metric, "weight")
    with _sweep_figure(rows, metric, drawn, panels=1) as figure:
        ax = figure.axes[0]
        ax.set_title("Accuracy against the weight of the reward model")
        ax.set_xlabel("λ (0 = likelihood alone: the plain beam; 1 = reward alone)")
        ax.set_xlim(-0.03, 1.03)
        _draw(ax, drawn, "weight")
    return figure


def looks(drawn: Sequence[SearchCurve]) -> dict[str, drawing.Look]:
    """Give every curve (by name) its look: line and marker by kind of search, colour by what differs.

    Where the curves differ in more than search dials, say in the generator, a colour stands for such
    a setting; otherwise guided searches have one colour each, and the rest is black and grey.
    """
    contexts = list(dict.fromkeys(curve.context for curve in drawn if curve.context))
    coloured = [curve.name for curve in drawn if curve.search not in REFERENCES]
    chosen = {}
    for curve in drawn:
        if len(contexts) > 1 and curve.context and curve.search not in COUNTS:
            color = drawing.PALETTE[contexts.index(curve.context) % len(drawing.PALETTE)]
        elif curve.name in coloured:
            color = drawing.PALETTE[coloured.index(curve.name) % len(drawing.PALETTE)]
        else:
            color = {"plain": drawing.GREY, **dict.fromkeys(COUNTS, drawing.PALE)}.get(curve.search, drawing.BLACK)
        chosen[curve.name] = drawing.Look(color, LINES.get(curve.search, "-"), MARKERS.get(curve.search, "o"))
    return chosen


@contextmanager
def _sweep_figure(rows: pl.DataFrame, metric: str, drawn: list[SearchCurve], panels: int) -> Iterator[Figure]:
    """A figure with the empty panels of a sweep, with one accuracy axis for what a search does.

    A far lower baseline must not squeeze the curves: it is in the legend alone.
    """
    searched = [curve for curve in drawn if curve.search in BEAMS | WEIGHTED] or drawn
    values = [v for curve in searched for p in curve.points for v in (p.value, p.low, p.high, *p.seeds)] or [0.0, 1.0]
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = 0.07 * (high - low) or 0.1 * abs(high) or 0.01
    several = any(len(point.seeds) > 1 for curve in drawn for point in curve.points)
    note = f"{drawing.FOOTNOTE}{' Lines: mean over seeds; dots: single seeds.' if several else ''}"
    with drawing.sweep_page(rows, metric, (13.0 if panels == 2 else 9.6, 4.8), note) as figure:
        axes = figure.subplots(1, panels, squeeze=False)[0]
        for ax in axes:
            ax.set_ylim(low - pad, high + pad)
            if not drawn:
                ax.text(0.5, 0.5, f"no finished point has {metric}", transform=ax.transAxes, ha="center")
        axes[0].set_ylabel(drawing.metric_name(metric))
        yield figure


def _cost_panel(ax: Axes, drawn: list[SearchCurve]) -> None:
    """Draw every point over its FLOPs per user, and the frontier; baselines without FLOPs as lines."""
    points = [point for curve in drawn for point in curve.points if np.isfinite(point.flops)]
    costs, values = [point.flops for point in points], [point.value for point in points]
    ax.set_title("Accuracy against compute")
    ax.set_xlabel(drawing.FLOPS)
    drawing.log_axis(ax, costs, unit="")
    drawing.frontier(ax, costs, values)
    _draw(ax, drawn, "flops")


def _draw(ax: Axes, drawn: list[SearchCurve], x: Literal["candidates", "flops", "weight"]) -> None:
    """Draw curves where their points have a place along x, the others as horizontal lines."""
    style = looks(drawn)
    for curve in drawn:
        look = style[curve.name]
        placed = replace(curve, points=tuple(p for p in curve.points if np.isfinite(getattr(p, x))))
        if placed.points:
            xs, ends = placed.along(x), (placed.along("low"), placed.along("high"))
            shown = look._replace(line="") if curve.scattered else look
            drawing.series(ax, xs, placed.along("value"), ends, curve.name, shown, not curve.scattered and x != "flops")
            for place, point in zip(xs, placed.points, strict=True):
                if len(point.seeds) > 1:
                    ax.plot([place] * len(point.seeds), point.seeds, ".", color=look.color, alpha=0.5, markersize=4)
            if x == "flops" and curve == next(each for each in drawn if each.context == curve.context):
                _write_widths(ax, placed, look.color)
        elif not curve.scattered and not (x == "flops" and curve.search in BEAMS):
            _draw_references(ax, curve, look)


def _draw_references(ax: Axes, curve: SearchCurve, look: drawing.Look) -> None:
    """Draw what does not depend on the x axis as horizontal lines; a value off the axis is told by the legend."""
    bottom, top = ax.get_ylim()
    style: Any = {"color": look.color, "linestyle": look.line, "linewidth": 1.4, "zorder": 2}
    for point in curve.points:
        if bottom <= point.value <= top:
            told = f" {point.value:.4f}" if curve.search in COUNTS else ""  # their lines look much alike
            ax.axhline(point.value, label=f"{curve.name}{told}", **style)
            if np.isfinite([point.low, point.high]).all():
                ax.axhspan(point.low, point.high, color=look.color, alpha=0.05, linewidth=0, zorder=0)
        else:
            ax.plot([], [], label=f"{curve.name} {'↑' if point.value > top else '↓'} {point.value:.4f}", **style)


def _write_widths(ax: Axes, curve: SearchCurve, color: str) -> None:
    """Write the widths under a curve that runs over them; of many the first and the last."""
    names = [spelled(point.widths) for point in curve.points]
    shown = range(len(names)) if len(names) < 6 else (0, len(names) - 1)
    style: Any = {"textcoords": "offset points", "fontsize": 8, "color": color, "path_effects": drawing.OUTLINE}
    for place in shown if len(set(names)) > 1 else ():
        text = f"W = {names[place]}" if place == 0 else names[place]
        ax.annotate(text, (curve.points[place].flops, curve.points[place].value), xytext=(4, -12), **style)
