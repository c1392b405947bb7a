"""A larger generator or more search: accuracy over both, with lines of equal accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from promise.analysis.curves import NAMES, per_level, usable
from promise.analysis.drawing import GREY, log_axis
from promise.analysis.figures import STYLE, flops_words, metric_name, name_figure

NOTE = (
    "Above a point: {}, mean over seeds; below it: FLOPs per user, where they change by more than 5 %.\n"
    "Lines join settings of equal accuracy, interpolated between the points; the parameters of guided search are those "
    "of both networks."
)
COLORS = "cividis"


#: Share by which costs may differ and still be called the same.
SAME_COST = 0.05


@dataclass(frozen=True)
class Cell:
    """A generator with a budget of search.

    Attributes:
        generator: Name of its size.
        candidates: C, or W of a plain beam.
        value: The metric, mean over seeds.
        flops: FLOPs per user; NaN when unknown.
    """

    generator: str
    candidates: float
    value: float
    flops: float


@dataclass(frozen=True)
class SizeGrid:
    """One kind of search on several generators.

    Attributes:
        name: What a reader sees, such as `guided, W = 20`.
        generators: Names of the sizes, the smallest first.
        parameters: Learned numbers of each; NaN when unknown.
        cells: At least two generators with at least two budgets.
    """

    name: str
    generators: tuple[str, ...]
    parameters: tuple[float, ...]
    cells: tuple[Cell, ...]

    def surface(self) -> tuple[list[float], np.ndarray]:
        """Budgets that every generator has, and the metric (generators, budgets)."""
        budgets = [{cell.candidates for cell in self.cells if cell.generator == name} for name in self.generators]
        common = sorted(set.intersection(*budgets))
        values = {(cell.generator, cell.candidates): cell.value for cell in self.cells}
        return common, np.array([[values[name, c] for c in common] for name in self.generators])


def size_grids(rows: pl.DataFrame, metric: str = "recall@10") -> list[SizeGrid]:
    """The kinds of search that ran on several generators with several budgets: plain, then guided.

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of the metric's column.

    Returns:
        One grid of plain beams over W, and one of guided search over C, of the width and λ with the most points; each
        only where two generators share two budgets.

    Raises:
        ValueError: If there is no such metric.
    """
    done = [row for row in usable(rows, metric).to_dicts() if row.get("generator") is not None]
    found = []
    for search in ("plain", "guided"):
        mine = [row for row in done if row["search"] == search and per_level(row.get("search.candidates"))]
        if search == "guided" and mine:
            kinds = [(row.get("search.width"), row.get("search.weight")) for row in mine]
            most = max(dict.fromkeys(kinds), key=kinds.count)
            mine = [row for row, kind in zip(mine, kinds, strict=True) if kind == most]
        grid = _grid(search, mine, metric)
        if len(grid.generators) > 1 and len(grid.surface()[0]) > 1:
            found.append(grid)
    return found


def size_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy over the generator's size and the budget of the search.

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of the metric's column.

    Returns:
        A panel for plain beams and one for guided search, as far as there are such rows, in one scale of colours.

    Raises:
        ValueError: If there is no such metric, or no two generators share two budgets.
    """
    grids = size_grids(rows, metric)
    if not grids:
        raise ValueError("two generators must share two values of C (or W of plain beams) in the results")
    values = [cell.value for grid in grids for cell in grid.cells]
    scale = Normalize(min(values), max(values))
    with matplotlib.rc_context(STYLE):
        sizes = max(len(grid.generators) for grid in grids)
        figure = Figure(figsize=(6.0 + 5.4 * (len(grids) - 1), 2.2 + 0.95 * sizes), layout="constrained")
        axes = np.atleast_1d(figure.subplots(1, len(grids)))
        for ax, grid in zip(axes, grids, strict=True):
            _draw(ax, grid, scale)
        axes[0].set_ylabel("generator")
        name_figure(figure, rows, metric, NOTE.format(metric_name(metric)))
    return figure


def _grid(search: str, rows: Sequence[dict[str, object]], metric: str) -> SizeGrid:
    """Average rows over seeds, and order generators by their size."""
    points: dict[tuple[str, float], list[dict[str, object]]] = {}
    for row in rows:
        key = str(row["generator"]), max(per_level(row["search.candidates"]))
        points.setdefault(key, []).append(row)

    def mean(members: Sequence[dict[str, object]], column: str) -> float:
        values = [row.get(column) for row in members]
        return math.nan if None in values else float(np.mean(np.array(values, dtype=np.float64)))

    cells = [
        Cell(generator, c, mean(members, metric), mean(members, "flops_per_user"))
        for (generator, c), members in points.items()
    ]
    sizes = {cell.generator: mean([row for row in rows if row["generator"] == cell.generator], "parameters")
             for cell in cells}  # fmt: skip
    costs = {name: min(cell.flops for cell in cells if cell.generator == name) for name in sizes}
    names = sorted(sizes, key=lambda name: sizes[name] if sizes[name] == sizes[name] else costs[name])
    name = NAMES.get(search, search)
    if search == "guided" and rows:
        name += f", W = {'-'.join(f'{width:g}' for width in dict.fromkeys(per_level(rows[0].get('search.width'))))}"
    return SizeGrid(name, tuple(names), tuple(sizes[each] for each in names), tuple(cells))


def _draw(ax: Axes, grid: SizeGrid, scale: Normalize) -> None:
    """Draw the points of a grid, coloured and written, over lines of equal accuracy."""
    budgets, values = grid.surface()
    log_axis(ax, [cell.candidates for cell in grid.cells], at_values=True)
    places = {name: place for place, name in enumerate(grid.generators)}
    ax.set_title(grid.name, loc="left")
    ax.set_xlabel("beams W (log scale)" if grid.name == NAMES["plain"] else "candidates C per level (paths, log scale)")
    left, right = ax.get_xlim()
    margin = (right / left) ** 0.08
    ax.set_xlim(left / margin, right * margin)
    ax.set_ylim(-0.6, len(places) - 0.4)
    names = [name if size != size else f"{name}\n{_count(size)}" for name, size in
             zip(grid.generators, grid.parameters, strict=True)]  # fmt: skip
    ax.set_yticks(range(len(names)), names)
    ax.grid(False)
    steps = [step for step in MaxNLocator(6).tick_values(values.min(), values.max())
             if values.min() < step < values.max()]  # fmt: skip
    if steps:
        lines = ax.contour(budgets, np.arange(len(places)), values, steps, colors=GREY, linewidths=1.1, zorder=1)
        ax.clabel(lines, fmt="%g", fontsize=8.5, inline_spacing=4, manual=_between_rows(lines.allsegs))
    white = [withStroke(linewidth=2.5, foreground="white")]
    small = 8.5 if len(budgets) < 5 else 7.5
    said: dict[str, float] = {}
    for cell in sorted(grid.cells, key=lambda cell: cell.candidates):
        place = (cell.candidates, places[cell.generator])
        ax.scatter(*place, s=60, c=[cell.value], cmap=COLORS, norm=scale, edgecolors="white", zorder=3)
        changed = abs(cell.flops - said.get(cell.generator, 0.0)) > SAME_COST * cell.flops  # never where it is NaN
        cost = flops_words(cell.flops) if changed else ""
        if changed:
            said[cell.generator] = cell.flops
        for text, offset in ((f"{cell.value:.4f}", 8), (cost, -15)):
            if text:
                ax.annotate(text, place, xytext=(0, offset), textcoords="offset points", ha="center", fontsize=small,
                            path_effects=white, zorder=4)  # fmt: skip


def _between_rows(lines: Sequence[Sequence[np.ndarray]]) -> list[tuple[float, float]]:
    """Where each line of equal accuracy is nearest to the middle between two rows: its name is in no point's way."""
    found = []
    for parts in lines:
        near = []
        for part in (part for part in parts if len(part) > 1):
            along = np.linspace(0, len(part) - 1, 20 * len(part))
            xs, ys = (np.interp(along, np.arange(len(part)), column) for column in part.T)
            off = np.abs(ys % 1 - 0.5)
            near.append((float(off.min()), float(xs[off.argmin()]), float(ys[off.argmin()])))
        if near and min(near)[0] < 0.2:
            found.append(min(near)[1:])
    return found


def _count(parameters: float) -> str:
    """A number of parameters as people write it: `1.2 M parameters`."""
    size, unit = next(((size, unit) for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")) if parameters >= size),
                      (1.0, ""))  # fmt: skip
    return f"{parameters / size:.3g}{unit} parameters"
