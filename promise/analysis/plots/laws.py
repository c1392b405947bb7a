"""The figure of scaling laws: points, fitted curves and predictions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.laws.fit import Comparison, LawFit
from promise.analysis.laws.forms import Law
from promise.analysis.plots import drawing

COLORS = dict(zip(Law, drawing.PALETTE, strict=False))
LAW_NOTE = (
    "Dots: measured; hollow: held out of the fits. Bars: 95 % bootstrap interval over users.\n"
    "Curves: solid where fitted, dashed beyond. Band: 95 % of the refits to resampled users. x0: smallest x."
)


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
        A figure two panels wide; the legend says which law is preferred. Parameters are in `laws.csv`.
    """
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    with drawing.page((6.2 * columns, 4.0 * rows + 0.9), title, LAW_NOTE) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, panel in zip(axes, panels, strict=False):
            _law_panel(ax, panel)
            verdict = f"preferred: {panel.comparison.preferred or 'none'}"
            ax.legend(fontsize=8.5, title=verdict, title_fontsize=8.5)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
    return figure


def _law_panel(ax: Axes, panel: LawPanel) -> None:
    """Draw the points of a curve and its laws."""
    found = panel.comparison
    xs, values = found.curve.x, found.curve.means
    compute = panel.along == "flops_per_user"
    ax.set(title=panel.title, ylabel=drawing.metric_name(panel.metric))
    ax.set_xlabel(drawing.FLOPS if compute else "Candidates C scored per level (paths, log scale)")
    drawing.log_axis(ax, xs.tolist(), unit="" if compute else None)
    for place, fit in enumerate(found.fitted):
        _draw_law(ax, fit, xs, band=place == 0)
    reach = np.abs([[point.value - point.low, point.high - point.value] for point in found.curve.points]).T
    ax.errorbar(xs, values, reach, fmt="none", ecolor="#8a8a8a", elinewidth=1.2, zorder=4.5)
    held = np.arange(len(xs)) == len(xs) - 1
    for mask, fill, label in ((~held, drawing.BLACK, "measured"), (held, "white", "held out")):
        ax.plot(xs[mask], values[mask], "o", label=label, color=drawing.BLACK, mfc=fill, markersize=6.5, zorder=5)
    shown = [*found.curve.points, *(fit.predicted for fit in found.fitted[:1])]
    ends = [end for each in shown for end in (each.low, each.high)]
    ends += [fit.predicted.value for fit in found.fitted]
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
