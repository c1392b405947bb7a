"""Accuracy against candidates, against compute and against λ; what every figure of a sweep shares."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.curves import BEAMS, WEIGHTED, Curve, Point, curves, usable
from promise.analysis.drawing import (
    GREY,
    Label,
    draw_frontier,
    draw_knee,
    draw_levels,
    draw_line,
    log_axis,
    looks,
    write_labels,
    write_widths,
)

STYLE: Any = {
    "font.family": "DejaVu Sans",  # travels with matplotlib: the same figure on every machine
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#666666",
    "axes.titlesize": 10.5,
    "text.parse_math": False,  # a data set may have a $ in its name
    "svg.hashsalt": "promise",  # the same rows give the same file
}
FOOTNOTE = "Bands and bars: 95 % bootstrap interval over users."


def scaling_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy against candidates (left) and against FLOPs per user (right).

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of the metric's column.

    Returns:
        A figure of two panels with one accuracy axis; points without the metric are left out.

    Raises:
        ValueError: If there is no such metric.
    """
    drawn = curves(rows, metric, "candidates")
    if all(len(curve.points) == 1 for curve in drawn if curve.search in WEIGHTED):
        drawn = curves(rows, metric, "width")  # one C for each width: widths are what a line joins
    with matplotlib.rc_context(STYLE):
        figure = open_figure(rows, metric, drawn, panels=2)
        left, right = figure.axes
        _candidates_panel(left, drawn)
        _cost_panel(right, drawn)
    return figure


def weight_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy against λ, the weight of the reward model in the search.

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of the metric's column.

    Returns:
        A figure of one panel; searches without λ are horizontal lines.

    Raises:
        ValueError: If there is no such metric.
    """
    drawn = curves(rows, metric, "weight")
    with matplotlib.rc_context(STYLE):
        figure = open_figure(rows, metric, drawn, panels=1)
        ax = figure.axes[0]
        ax.set_title("Accuracy against the weight of the reward model", loc="left")
        ax.set_xlabel("λ (0 = likelihood alone: the plain beam; 1 = reward alone)")
        ax.set_xlim(-0.03, 1.03)
        _draw(ax, drawn, lambda point: point.weight)
        style = looks(drawn)
        for curve in (curve for curve in drawn if curve.search == "plain"):
            look, values = style[curve.name], [point.value for point in curve.points]
            ax.plot([0.0] * len(values), values, look.marker, color=look.color, markersize=5.5, zorder=3)
            if curve.scattered:  # no lines that could be named beside the panel
                place = (0.0, max(values))
                ax.annotate(curve.name, place, (5, 6), textcoords="offset points", color=look.color, fontsize=9)
    return figure


def frontier_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy against FLOPs per user, one line per generator and kind of search; the frontier, and its knee.

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of the metric's column.

    Returns:
        A figure of one panel.

    Raises:
        ValueError: If there is no such metric.
    """
    drawn = curves(rows, metric, "width")
    with matplotlib.rc_context(STYLE):
        figure = open_figure(rows, metric, drawn, panels=1)
        _cost_panel(figure.axes[0], drawn)
    return figure


def save_figure(figure: Figure, path: str | Path) -> tuple[Path, Path]:
    """Write a figure as .svg and .png.

    Args:
        figure: The figure.
        path: The file's name without an ending; its folder is made.

    Returns:
        The two files written, .svg first.
    """
    stem = Path(path)
    stem.parent.mkdir(parents=True, exist_ok=True)
    svg, png = (stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png"))
    with matplotlib.rc_context(STYLE):
        figure.savefig(svg, metadata={"Date": None})
        figure.savefig(png, dpi=160)
    return svg, png


def metric_name(metric: str) -> str:
    """Return a metric as an axis calls it, with its unit."""
    family, _, k = metric.partition("@")
    if family == "hrecall":
        return f"HRecall at level {k} (share of users)"
    name = {"recall": "Recall"}.get(family, family.upper())
    return f"{name}@{k} ({'share of users' if family == 'recall' else 'mean over users, 0 to 1'})"


def flop_unit(flops: Sequence[float]) -> tuple[float, str]:
    """Choose the unit in which FLOP counts are easy to read: (its size, its name)."""
    thousands = round(math.log10(float(np.median(flops))) - 1) // 3 if len(flops) else 0
    place = min(max(thousands, 0), 5)
    return 1000.0**place, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP")[place]


def flops_words(flops: float) -> str:
    """A FLOP count with its unit.

    >>> flops_words(1.94e6)
    '1.94 MFLOP'
    """
    place = min(max(math.floor(math.log10(flops) / 3), 0), 5) if flops > 0 else 0
    return f"{flops / 1000.0**place:.3g} {('', 'k', 'M', 'G', 'T', 'P')[place]}FLOP"


def open_figure(rows: pl.DataFrame, metric: str, drawn: list[Curve], panels: int) -> Figure:
    """Make the empty panels with all that does not depend on their x axis; a README shows them at 830 pixels."""
    figure = Figure(figsize=(11.4, 4.8) if panels == 2 else (7.6, 4.8), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, panels))
    low, high = value_range(drawn)
    for ax in axes:
        ax.set_ylim(low, high)
        ax.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes[0].set_ylabel(metric_name(metric))
    note = FOOTNOTE
    if any(len(point.seeds) > 1 for curve in drawn for point in curve.points):
        note += " Lines: mean over seeds; dots: single seeds."
    name_figure(figure, rows, metric, note)
    if not drawn:
        for ax in axes:
            notice = f"no finished point has {metric}"
            ax.text(0.5, 0.5, notice, transform=ax.transAxes, ha="center", color=GREY)
    return figure


def name_figure(figure: Figure, rows: pl.DataFrame, metric: str, note: str) -> None:
    """Say above the panels what was measured, and below them how to read it and what is left out."""
    figure.suptitle(measured_on(usable(rows, metric)), x=0.01, ha="left", fontsize=12, fontweight="bold")
    if missing := len(rows) - len(usable(rows, metric)):
        note += f" Left out: {missing} of {len(rows)} points, failed or without {metric}."
    characters = round(13.2 * figure.get_size_inches()[0])  # of a line
    note = "\n".join(part for line in note.splitlines() for part in textwrap.wrap(line, characters))
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8.5, color=GREY)


def measured_on(rows: pl.DataFrame) -> str:
    """Say what the numbers were measured on, as far as all points share it."""
    parts = []
    for name, words in (("data", "{}"), ("split", "{} split"), ("users", "{:,} users")):
        values = rows[name].drop_nulls().unique(maintain_order=True).to_list() if name in rows.columns else []
        if len(values) == 1:
            parts.append(words.format(values[0]))
        elif len(values) > 1:
            parts.append(f"several {name}")
    return " · ".join(parts)


def value_range(drawn: list[Curve]) -> tuple[float, float]:
    """Choose the y axis for what a search does; a far lower baseline must not squeeze the curves."""
    searched = [curve for curve in drawn if curve.search in BEAMS | WEIGHTED] or drawn
    points = [point for curve in searched for point in curve.points]
    values = [value for p in points for value in (p.value, p.low, p.high, *p.seeds)] or [0.0, 1.0]
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = 0.07 * (high - low) or 0.1 * abs(high) or 0.01
    return low - pad, high + pad


def _candidates_panel(ax: Axes, drawn: list[Curve]) -> None:
    """Draw searches with beams over their candidates, everything else as horizontal lines."""
    points = [point for curve in drawn for point in curve.points if np.isfinite(point.candidates)]
    per_level = any("-" in point.width_name for point in points)
    ax.set_title("Accuracy against candidates (plain beam: C = W)", loc="left")
    ax.set_xlabel(f"Candidates C scored {'at the widest' if per_level else 'per'} level (paths, log scale)")
    log_axis(ax, [point.candidates for point in points], at_values=True)
    _draw(ax, drawn, lambda point: point.candidates)


def _cost_panel(ax: Axes, drawn: list[Curve]) -> None:
    """Draw every point over its FLOPs per user, and the frontier; baselines without FLOPs as lines."""
    points = [point for curve in drawn for point in curve.points if np.isfinite(point.flops)]
    size, unit = flop_unit([point.flops for point in points])
    costs = [point.flops / size for point in points]
    ax.set_xlabel(f"{unit} per user (log scale; one multiply-add = 2 FLOP)")
    log_axis(ax, costs, at_values=False)
    marks = "grey step: frontier"
    if points:
        values = [point.value for point in points]
        draw_frontier(ax, costs, values)
        marks += "; ring: its knee" if draw_knee(ax, costs, values) else ""
    ax.set_title(f"Accuracy against compute ({marks})", loc="left")
    _draw(ax, drawn, lambda point: point.flops / size, costs=True)


def _draw(ax: Axes, drawn: list[Curve], place: Callable[[Point], float], costs: bool = False) -> None:
    """Draw curves where their points have a place along x, the others as horizontal lines; name all."""
    labels: list[Label] = []
    taken: list[tuple[float, float]] = []
    style = looks(drawn)
    for curve in drawn:
        look = style[curve.name]
        placed = replace(curve, points=tuple(p for p in curve.points if np.isfinite(place(p))))
        if placed.points:
            xs = [place(point) for point in placed.points]
            labels.append(draw_line(ax, placed, look, xs, band=not costs))
            if costs and not curve.scattered and len({point.width_name for point in placed.points}) > 1:
                write_widths(ax, placed, look, xs, taken)
        elif not curve.scattered and not (costs and curve.search in BEAMS):
            labels += draw_levels(ax, curve, look)
    write_labels(ax, labels)
