"""The figures of scaling laws: points, fitted curves and predictions; and how many true prefixes each level keeps."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.drawing import BLACK, GREY, PALETTE, Label, Look, log_axis, write_labels
from promise.analysis.figures import STYLE, flop_unit, metric_name
from promise.analysis.laws.fit import Comparison, LawFit
from promise.analysis.laws.forms import Law

LOOKS = {
    Law.SATURATING_POWER: Look(PALETTE[0], "-", ""),
    Law.EXPONENTIATED_POWER: Look(PALETTE[1], "-", ""),
    Law.LOG_LINEAR: Look(PALETTE[2], "-", ""),
}
LAW_NOTE = (
    "Dots: measured; hollow: held out of the fits. Thin bars: 95 % bootstrap interval over users; thick: the same "
    "without what all points share, as they share their users.\n"
    "Curves: solid where fitted, dashed beyond. Band: 95 % of the refits to resampled users. x₀: smallest x."
)
LEVEL_NOTE = (
    "Bars: 95 % interval of a share of users (Wilson); points share their users, so steps are surer than they look. "
    "The ranges of the panels differ."
)
LINE = 92  # characters of a caption's line


@dataclass(frozen=True)
class LawPanel:
    """One curve with its laws.

    Attributes:
        title: What was measured on what, such as `guided, W = 20, dot`.
        metric: Name of the metric, such as `recall@10`.
        along: `candidates` or `flops_per_user`: what x is.
        comparison: The points and the fits.
    """

    title: str
    metric: str
    along: str
    comparison: Comparison


@dataclass(frozen=True)
class LevelCurve:
    """How many true prefixes one search keeps, level by level.

    Attributes:
        name: What a reader sees, such as `dot, W = 20`.
        candidates: (points,) C, rising.
        shares: (points, levels) HRecall, each in [0, 1].
        users: Number of users behind a share.
    """

    name: str
    candidates: tuple[float, ...]
    shares: tuple[tuple[float, ...], ...]
    users: int


def law_figure(panels: Sequence[LawPanel], title: str = "") -> Figure:
    """Draw curves with their laws, one panel each.

    Args:
        panels: At least one curve.
        title: What all panels share, such as the data and the split.

    Returns:
        A figure two panels wide; the parameters stand under each panel, or why there are none.

    Raises:
        ValueError: If there is no panel.
    """
    if not panels:
        raise ValueError("panels must hold at least one curve, got none")
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(STYLE):
        captions = [_caption(panel) for panel in panels]
        lines = max(len(caption) for caption in captions)
        height = 0.16 * (lines + 2)  # inches
        figure = Figure(figsize=(6.2 * columns, (4.0 + height) * rows + 0.8), layout="constrained")
        grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[4.0, height] * rows)
        plots, notes = grid[::2].ravel(), grid[1::2].ravel()
        for ax in (*notes, *plots[len(panels) :]):
            ax.set_axis_off()
        for ax, note, panel, caption in zip(plots, notes, panels, captions, strict=False):
            _law_panel(ax, panel)
            text = note.text(0, 1, "\n".join(caption), transform=note.transAxes, va="top", fontsize=8, linespacing=1.4)
            text.set_in_layout(False)  # wrapped to the panel; it must not push the panels apart
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        figure.supxlabel(LAW_NOTE, x=0.01, ha="left", fontsize=8, color=GREY)
    return figure


def level_figure(curves: Sequence[LevelCurve], title: str = "") -> Figure:
    """Draw HRecall against candidates, one panel per level.

    Args:
        curves: At least one curve; those with fewer levels leave the last panels to the others.
        title: What all curves share.

    Returns:
        A figure of panels, each with its own range of shares.

    Raises:
        ValueError: If there is no curve.
    """
    if not curves:
        raise ValueError("curves must hold at least one curve, got none")
    levels = max(len(curve.shares[0]) for curve in curves)
    with matplotlib.rc_context(STYLE):
        columns = levels if levels <= 3 else 2  # a README shows them at 830 pixels
        rows = math.ceil(levels / columns)
        figure = Figure(figsize=(11.0 if columns > 1 else 6.0, 3.2 * rows + 0.8), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax in panels[levels:]:
            ax.set_axis_off()
        for level, ax in enumerate(panels[:levels]):
            _level_panel(ax, curves, level)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        figure.supxlabel(LEVEL_NOTE, x=0.01, ha="left", fontsize=8, color=GREY)
    return figure


def _law_panel(ax: Axes, panel: LawPanel) -> None:
    """Draw the points of a curve, its laws, its turning point and, below, the parameters."""
    found = panel.comparison
    size, unit = flop_unit(found.curve.x.tolist()) if panel.along == "flops_per_user" else (1.0, "")
    xs = found.curve.x / size
    log_axis(ax, xs.tolist(), at_values=panel.along == "candidates")
    ax.set_title(panel.title, loc="left")
    ax.set_ylabel(metric_name(panel.metric))
    ax.set_xlabel(f"{unit} per user (log scale)" if unit else "Candidates C scored per level (paths, log scale)")
    labels = [_draw_law(ax, fit, xs, size, band=place == 0) for place, fit in enumerate(found.fitted)]
    held = np.arange(len(xs)) >= len(xs) - found.held_out
    values = found.curve.means
    for estimates, width in ((found.curve.points, 0.9), (found.curve.steps, 3.0)):
        reach = np.abs([[point.value - point.low, point.high - point.value] for point in estimates]).T
        ax.errorbar(xs, values, reach, fmt="none", ecolor="#8a8a8a", elinewidth=width, zorder=4.5)
    for mask, fill, label in ((~held, BLACK, "measured"), (held, "white", "held out")):
        ax.plot(xs[mask], values[mask], "o", label=label, color=BLACK, mfc=fill, markersize=6.5, zorder=5)
    if found.turning is not None:
        turn = found.turning
        ax.axvline(turn.best / size, color=GREY, linestyle=":", linewidth=1.2, zorder=1)
        text = f"best at {turn.best / size:.4g}; from {turn.x / size:.4g} on, more hurts"
        ax.annotate(text, (turn.best / size, 0.02), xycoords=("data", "axes fraction"), xytext=(4, 0),
                    textcoords="offset points", fontsize=8, color=GREY)  # fmt: skip
    _room(ax, found)
    write_labels(ax, labels)


def _draw_law(ax: Axes, fit: LawFit, xs: np.ndarray, size: float, band: bool) -> Label:
    """Draw one law from the first point to the last, with its band if it is the law to show first."""
    look = LOOKS[fit.law]
    last = fit.x[-1] / size
    places = np.union1d(np.geomspace(xs[0], xs[-1], 120), [last])
    values = fit.at(places * size)
    heights = np.array([value.value for value in values])
    style: Any = {"color": look.color, "linewidth": 2.0 if band else 1.3, "zorder": 4 if band else 3}
    fitted, beyond = places <= last, places >= last
    ax.plot(places[fitted], heights[fitted], "-", label=str(fit.law), **style)
    if beyond.sum() > 1:
        ax.plot(places[beyond], heights[beyond], "--", label=f"{fit.law}, beyond", **style)
    if band:
        low, high = np.array([(value.low, value.high) for value in values]).T
        ax.fill_between(places, low, high, color=look.color, alpha=0.13, linewidth=0, zorder=1)
    return Label(float(heights[-1]), str(fit.law), look)


def _room(ax: Axes, found: Comparison) -> None:
    """Choose the y axis for the points and the predictions."""
    estimates = [*found.curve.points, *(point.predicted for fit in found.fitted[:1] for point in fit.held_out)]
    values = [end for each in estimates for end in (each.low, each.high)]
    values += [point.predicted.value for fit in found.fitted for point in fit.held_out]
    pad = 0.08 * (max(values) - min(values)) or 0.1 * abs(max(values)) or 0.01
    ax.set_ylim(min(values) - pad, max(values) + pad)
    ax.ticklabel_format(axis="y", useOffset=False, style="plain")


def _caption(panel: LawPanel) -> list[str]:
    """The parameters of every law with their intervals, or the reason why it has none, and the verdict, as lines."""
    found = []
    for fit in panel.comparison.fits:
        if not isinstance(fit, LawFit):
            found.append(f"{fit.law}: not fitted; {fit.reason}")
            continue
        numbers = [f"{name} = {value.text(2 if name == 'c' else 4)}" for name, value in fit.parameters.items()]
        found.append(f"{fit.law}, {pretty(fit.law)}: {', '.join(numbers)}")
        found += [
            f"    predicted {point.predicted.text()}, held out {point.observed.text()}, "
            f"error {point.error.text(4, '+')}"
            for point in fit.held_out
        ]
    chosen = panel.comparison.preferred
    found.append(f"Preferred: {chosen or 'none'} ({panel.comparison.verdict}).")
    return [line for each in found for line in textwrap.wrap(each, LINE, subsequent_indent="    ")]


def pretty(law: Law) -> str:
    """The law's equation as a figure shows it."""
    signs = {"x/x0": "x/x₀", "^-c": "⁻ᶜ", "b (": "b·(", " exp": "·exp", " - ": " − ", "(-b": "(−b", " ln": "·ln"}
    text = law.form
    for plain, sign in signs.items():
        text = text.replace(plain, sign)
    return text


def _level_panel(ax: Axes, curves: Sequence[LevelCurve], level: int) -> None:
    """Draw one level of every curve that has it."""
    drawn = [(place, curve) for place, curve in enumerate(curves) if level < len(curve.shares[0])]
    log_axis(ax, sorted({c for _, curve in drawn for c in curve.candidates}), at_values=True)
    ax.set_title(f"Level {level + 1}", loc="left")
    ax.set_xlabel("Candidates C (paths, log scale)")
    ax.set_ylabel("HRecall (share of users)")
    labels = []
    for place, curve in drawn:
        look = Look(PALETTE[place % len(PALETTE)], "-", "o^sDv"[place % 5])
        shares = np.array(curve.shares)[:, level]
        low, high = wilson(shares, curve.users)
        style: Any = {"color": look.color, "marker": look.marker, "markersize": 5.5, "linewidth": 1.6}
        ax.errorbar(curve.candidates, shares, [shares - low, high - shares], label=curve.name, elinewidth=1, **style)
        labels.append(Label(float(shares[-1]), curve.name, look))
    if len(curves) > 1:
        write_labels(ax, labels)
    ax.ticklabel_format(axis="y", useOffset=False, style="plain")


def wilson(shares: np.ndarray, users: int) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % Wilson interval of shares (n,) of a number of users.

    >>> [round(float(end[0]), 3) for end in wilson(np.array([0.5]), 100)]
    [0.404, 0.596]
    """
    z = 1.959964
    middle = (shares + z**2 / (2 * users)) / (1 + z**2 / users)
    reach = z / (1 + z**2 / users) * np.sqrt(shares * (1 - shares) / users + z**2 / (4 * users**2))
    return np.minimum(middle - reach, shares), np.maximum(middle + reach, shares)
