"""The figure of HRecall over the levels of semantic IDs: where the true prefixes are lost."""

from itertools import count, cycle, takewhile

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from promise.analysis.plots import drawing
from promise.analysis.plots.accuracy import looks
from promise.analysis.plots.curves import curves

NOTE = (
    "HRecall at a level: share of users whose true prefix is among the beams kept there. Of each line over C, the "
    "point with the largest C."
)
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
MOST = 6
"""Guided searches that the figure shows."""


def kept_prefixes(rows: pl.DataFrame) -> dict[str, tuple[drawing.Look, list[float]]]:
    """The searches to show: of every guided curve over C the last point, of plain beams those of the same widths.

    Returns:
        Name -> look in other figures, and HRecall by level; of many guided ones those that keep most at the last level;
        nothing where no row has HRecall at every level, or a study drew the dials. An ORM carries C beams, not W: its
        shares are of another kind.
    """
    names = list(takewhile(lambda name: name in rows.columns, (f"hrecall@{level}" for level in count(1))))
    by_level = [{curve.name: curve.points for curve in curves(rows, name, "candidates")} for name in names]
    drawn = curves(rows, names[0], "candidates") if names else []
    style, guided, plain = looks(drawn), {}, {}
    for curve in drawn:
        levels = [each.get(curve.name, ()) for each in by_level]
        if curve.scattered or curve.search not in ("plain", "guided") or len(set(map(len, levels))) > 1:
            continue
        shares = [[point.value for point in points] for points in zip(*levels, strict=True)]  # points, then levels
        if curve.search == "guided":
            name = f"{curve.name}, C = {curve.points[-1].candidates:g}"
            guided[name] = curve.points[-1].width, (style[curve.name], shares[-1])
        for mark, point, each in zip(cycle("svDPX"), curve.points, shares) if curve.search == "plain" else ():
            look = style[curve.name]._replace(marker=mark)
            plain[f"{curve.name}, W = {point.width:g}"] = point.width, (look, each)
    most = dict(sorted(guided.items(), key=lambda item: -item[1][1][1][-1])[:MOST])
    widths = {width for width, _ in (most or plain).values()}
    return {name: shown for name, (width, shown) in {**plain, **most}.items() if width in widths}


def hrecall_figure(rows: pl.DataFrame) -> Figure:
    """Draw HRecall per level."""
    found = kept_prefixes(rows)
    rows = rows.filter(pl.col("search").is_in(("plain", "guided")))
    with drawing.sweep_page(rows, "hrecall@1", (9.6, 4.8), NOTE) as figure:
        ax = figure.subplots()
        ax.set(title="True prefix still among the beams", ylabel="HRecall (share of users, log scale)", yscale="log")
        for name, (look, shares) in found.items():
            line = {"label": name, "color": look.color, "linestyle": look.line, "marker": look.marker}
            ax.plot(np.arange(1, len(shares) + 1), shares, **line)  # type: ignore[arg-type]
        ticks = [tick for tick in TICKS if tick >= ax.get_ylim()[0]]
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_yticks([], minor=True)
        drawing.level_axis(ax, max(len(shares) for _, shares in found.values()))
    return figure
