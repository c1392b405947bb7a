"""The figure of scaling laws: points, fitted curves and predictions."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.laws.fit import Comparison, LawFit, NoFit
from promise.analysis.laws.forms import Law
from promise.analysis.plots import drawing

COLORS = dict(zip(Law, drawing.PALETTE, strict=False))
LAW_NOTE = (
    "Dots: measured; hollow: held out of the fits. Thin bars: 95 % bootstrap interval over users; thick: the same "
    "without what all points share, as they share their users.\n"
    "Curves: solid where fitted, dashed beyond. Band: 95 % of the refits to resampled users. x0: smallest x."
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
    captions = [_caption(panel) for panel in panels]
    height = 4.0 + 0.17 * max(caption.count("\n") + 1 for caption in captions)
    rows = math.ceil(len(panels) / columns)
    with drawing.page((6.2 * columns, height * rows + 0.9), title, LAW_NOTE) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, panel, caption in zip(axes, panels, captions, strict=False):
            _law_panel(ax, panel)
            ax.set_xlabel(f"{ax.get_xlabel()}\n\n{caption}", ha="left", x=0, fontsize=8.5)
            ax.legend(fontsize=8.5)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
    return figure


def _law_panel(ax: Axes, panel: LawPanel) -> None:
    """Draw the points of a curve, its laws and its turning point."""
    found = panel.comparison
    xs, values = found.curve.x, found.curve.means
    compute = panel.along == "flops_per_user"
    ax.set(title=panel.title, ylabel=drawing.metric_name(panel.metric))
    ax.set_xlabel(drawing.FLOPS if compute else "Candidates C scored per level (paths, log scale)")
    drawing.log_axis(ax, xs.tolist(), at_values=not compute, unit="" if compute else None)
    for place, fit in enumerate(found.fitted):
        _draw_law(ax, fit, xs, band=place == 0)
    for estimates, width in ((found.curve.points, 0.9), (found.curve.steps, 3.0)):
        reach = np.abs([[point.value - point.low, point.high - point.value] for point in estimates]).T
        ax.errorbar(xs, values, reach, fmt="none", ecolor="#8a8a8a", elinewidth=width, zorder=4.5)
    held = np.arange(len(xs)) == len(xs) - 1
    for mask, fill, label in ((~held, drawing.BLACK, "measured"), (held, "white", "held out")):
        ax.plot(xs[mask], values[mask], "o", label=label, color=drawing.BLACK, mfc=fill, markersize=6.5, zorder=5)
    if found.turning is not None:
        text = f"best at {found.turning.best:.4g}; from {found.turning.x:.4g} on, more hurts"
        ax.axvline(found.turning.best, color=drawing.GREY, linestyle=":", linewidth=1.2, zorder=1, label=text)
    shown = [*found.curve.points, *(fit.held_out.predicted for fit in found.fitted[:1])]
    ends = [end for each in shown for end in (each.low, each.high)]
    ends += [fit.held_out.predicted.value for fit in found.fitted]
    pad = 0.08 * (max(ends) - min(ends)) or 0.1 * abs(max(ends)) or 0.01
    ax.set_ylim(min(ends) - pad, max(ends) + pad)


def _draw_law(ax: Axes, fit: LawFit, xs: np.ndarray, band: bool) -> None:
    """Draw one law from the first point to the last, with its band if it is the law to show first."""
    places = np.union1d(np.geomspace(xs[0], xs[-1], 120), fit.x[-1:])
    found = np.array([(value.value, value.low, value.high) for value in fit.at(places)]).T
    style: Any = {"color": COLORS[fit.law], "linewidth": 2.0 if band else 1.3, "zorder": 4 if band else 3}
    fitted, beyond = places <= fit.x[-1], places >= fit.x[-1]
    ax.plot(places[fitted], found[0][fitted], "-", label=str(fit.law), **style)
    ax.plot(places[beyond], found[0][beyond], "--", label=f"_{fit.law}, beyond", **style)
    if band:
        ax.fill_between(places, found[1], found[2], color=style["color"], alpha=0.13, linewidth=0, zorder=1)


def _caption(panel: LawPanel) -> str:
    """The parameters of every law with their intervals, or the reason why it has none, and the verdict, as lines."""
    found = []
    for fit in panel.comparison.fits:
        if isinstance(fit, NoFit):
            found.append(f"{fit.law}: not fitted; {fit.reason}")
            continue
        numbers = [f"{name} = {value.text(2 if name == 'c' else 4)}" for name, value in fit.parameters.items()]
        found.append(f"{fit.law}, {fit.law.form}: {', '.join(numbers)}")
        last = fit.held_out
        found.append(f"    predicted {last.predicted.text()}, held out {last.observed.text()}, "
                     f"error {last.error.text(4, '+')}")  # fmt: skip
    found.append(f"Preferred: {panel.comparison.preferred or 'none'} ({panel.comparison.verdict}).")
    return "\n".join(line for each in found for line in textwrap.wrap(each, LINE, subsequent_indent="    "))
