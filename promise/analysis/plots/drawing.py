"""The drawing layer of all figures: page, logarithmic axes, series with intervals, the frontier, legend, files."""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from numpy.typing import ArrayLike

from promise.analysis.frontier import knee, pareto
from promise.analysis.plots.curves import usable

# Okabe and Ito's colours, without the yellow that white swallows.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BLUE, ORANGE, GREEN = PALETTE[:3]
GREY, PALE, BLACK = "#5c5c5c", "#909090", "#000000"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # travels with matplotlib: the same figure on every machine
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#666666",
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "text.parse_math": False,  # a data set may have a $ in its name
    "svg.hashsalt": "promise",  # the same rows give the same file
    "svg.fonttype": "none",  # texts stay texts: small files that can be searched
}
OUTLINE = [withStroke(linewidth=2.5, foreground="white")]
"""Keeps a text readable over lines."""
FOOTNOTE = "Bands and bars: 95 % bootstrap interval over users."
FLOPS = "FLOPs per user (log scale; one multiply-add = 2 FLOP)"


class Look(NamedTuple):
    """Colour, line and marker of a series, the same in every panel."""

    color: str
    line: str = "-"
    marker: str = "o"


@contextmanager
def page(size: tuple[float, float], title: str, note: str) -> Iterator[Figure]:
    """An empty figure in the style of all figures; what is drawn under it gets a legend beside the panels.

    Args:
        size: Width and height in inches.
        title: What was measured, above the panels.
        note: How to read it, below them; wrapped to the figure.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        lines = [part for line in note.splitlines() for part in textwrap.wrap(line, round(14.5 * size[0]))]
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8.5, color=GREY)
        yield figure
        named: dict[str, Any] = {}
        for ax in figure.axes:
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
                named.setdefault(label, handle)
        if named and not any(ax.get_legend() for ax in figure.axes):
            size_of_text = 9 if len(named) <= 20 else 6.5
            figure.legend(named.values(), named.keys(), loc="outside right upper", fontsize=size_of_text)


@contextmanager
def sweep_page(rows: pl.DataFrame, metric: str, size: tuple[float, float], note: str) -> Iterator[Figure]:
    """A page that says what the rows were measured on, and how many of them are left out."""
    done = usable(rows, metric)
    if missing := len(rows) - len(done):
        note += f" Left out: {missing} of {len(rows)} points, failed or without {metric}."
    with page(size, measured_on(done), note) as figure:
        yield figure


def measured_on(rows: pl.DataFrame) -> str:
    """Say what the numbers were measured on, as far as all points share it."""
    parts = []
    for name, words in (("data", "{}"), ("split", "{} split"), ("users", "{:,} users")):
        values = rows[name].drop_nulls().unique(maintain_order=True).to_list() if name in rows.columns else []
        if values:
            parts.append(words.format(values[0]) if len(values) == 1 else f"several {name}")
    return " · ".join(parts)


def series(
    ax: Axes, xs: ArrayLike, values: ArrayLike, ends: tuple[ArrayLike, ArrayLike], name: str, look: Look,
    band: bool = False,
) -> None:  # fmt: skip
    """Join values (n,) at xs (n,), with their intervals as a band, which needs two places, or as bars.

    `ends` are the lower and upper ends of the intervals, each (n,); one that is NaN has no extent.
    """
    places, heights = np.asarray(xs, dtype=np.float64), np.asarray(values, dtype=np.float64)
    low, high = (np.where(np.isnan(end), heights, end) for end in np.asarray(ends, dtype=np.float64))
    color, line, marker = look
    ax.plot(places, heights, label=name, color=color, linestyle=line, marker=marker, linewidth=1.8, zorder=3)
    if band and len(set(places)) > 1:
        ax.fill_between(places, low, high, color=color, alpha=0.13, linewidth=0, zorder=1)
    else:
        ax.errorbar(places, heights, np.abs([heights - low, high - heights]), fmt="none", ecolor=color,
                    elinewidth=1.1, alpha=0.5, zorder=2)  # fmt: skip


def frontier(ax: Axes, costs: Sequence[float], values: Sequence[float]) -> None:
    """Draw the best accuracy that each cost buys, as a pale step; of three points or more its knee is ringed."""
    front = sorted({(costs[i], values[i]) for i in np.flatnonzero(pareto(costs, values)).tolist()})
    if not front:
        return
    xs, ys = zip(*front, (max(costs), front[-1][1]), strict=True)
    ax.step(xs, ys, where="post", label="frontier", color="#dcdcdc", linewidth=6, zorder=1.5)
    bend = knee(costs, values)
    if bend is not None and len(front) > 2:
        ring: Any = {"color": BLACK, "mfc": "none", "markersize": 13, "markeredgewidth": 1.4, "zorder": 5}
        ax.plot(costs[bend], values[bend], "o", linestyle="none", label="knee of the frontier", **ring)


def log_axis(ax: Axes, values: Sequence[float], unit: str | None = None) -> None:
    """Make the x axis of some positive values logarithmic, with a few readable ticks.

    Prefixes of `unit` shorten large and small numbers (`""` = prefixes alone); None = plain numbers.
    """
    ax.set_xscale("log")
    ax.margins(x=0.06)
    low, high = (min(values), max(values)) if len(values) else (1.0, 10.0)
    if low == high:
        ax.set_xlim(low / 2, 2 * high)
    wide = LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,))
    ax.xaxis.set_major_locator(MaxNLocator(5) if high < 6 * low else wide)
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}") if unit is None else EngFormatter(unit))
    ax.xaxis.set_minor_locator(NullLocator())


def level_axis(ax: Axes, levels: int, final: str = "") -> None:
    """Put a tick at every level of the semantic ID, and one for what follows the last."""
    ticks = {level: str(level) for level in range(1, levels + 1)} | ({levels + 1: final} if final else {})
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.set_xlim(0.5, len(ticks) + 0.5)
    ax.set_xlabel("level of the semantic ID")
    ax.xaxis.grid(False)


def metric_name(metric: str) -> str:
    """A metric as an axis calls it, with its unit.

    >>> metric_name("recall@10"), metric_name("ndcg@5")
    ('Recall@10 (share of users)', 'NDCG@5 (mean over users, 0 to 1)')
    """
    family, _, k = metric.partition("@")
    if family == "hrecall":
        return f"HRecall at level {k} (share of users)"
    name = {"recall": "Recall"}.get(family, family.upper())
    return f"{name}@{k} ({'share of users' if family == 'recall' else 'mean over users, 0 to 1'})"


def save_figure(figure: Figure, path: str | Path) -> tuple[Path, Path]:
    """Write a figure as .svg and .png beside each other, and name both; `path` has no ending, its folder is made."""
    stem = Path(path)
    stem.parent.mkdir(parents=True, exist_ok=True)
    svg, png = (stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png"))
    with matplotlib.rc_context(STYLE):
        figure.savefig(svg, metadata={"Date": None})
        figure.savefig(png, dpi=160)
    return svg, png
