"""A larger generator or more search: accuracy over both.

Tables are as `results_table` makes them; a metric that is no column of them raises ValueError.
"""

from __future__ import annotations

import polars as pl
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from promise.analysis.plots import drawing
from promise.analysis.plots.curves import NAMES, spelled, usable
from promise.analysis.results import per_level
from promise.analysis.units import flops_text

NOTE = (
    "In a cell: the metric, mean over seeds, and FLOPs per user. The parameters of guided search are those of both "
    "networks."
)


def size_grids(rows: pl.DataFrame, metric: str = "recall@10") -> dict[str, pl.DataFrame]:
    """The kinds of search that ran on several generators with several budgets: plain, then guided.

    Returns:
        A table of plain beams over W, and one of guided search over C, of the width and λ with the most points, by a
        name such as `guided, W = 20`; each only where two generators share two budgets. Columns, means over seeds:
        `generator` (the smallest first), `budget` (rising; those that all generators have), `value`, `flops_per_user`,
        `parameters`.
    """
    done = usable(rows, metric).drop_nulls(["generator", "search.candidates"])
    budgets = [max(per_level(each)) for each in done["search.candidates"]]
    done = done.with_columns(pl.Series("budget", budgets, pl.Float64))
    found = {}
    for search in ("plain", "guided"):
        mine, name = done.filter(pl.col("search") == search), NAMES.get(search, search)
        if search == "guided" and len(mine):
            dials = pl.struct("search.width", "search.weight")
            mine = mine.filter(dials == mine.select(dials.mode(maintain_order=True).first()).item())
            name += f", W = {spelled(per_level(mine['search.width'][0]))}"
        grid = mine.group_by("generator", "budget", maintain_order=True).agg(
            pl.col(metric).mean().alias("value"), pl.col("flops_per_user", "parameters").mean()
        )
        grid = grid.filter(pl.len().over("budget") == pl.col("generator").n_unique())
        if grid["generator"].n_unique() > 1 and grid["budget"].n_unique() > 1:
            size = [pl.col(column).min().over("generator") for column in ("parameters", "flops_per_user")]
            found[name] = grid.sort(*size, "generator", "budget")
    return found


def size_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy over the generator's size and the budget of the search: a heat map of plain beams, one of guided.

    Raises:
        ValueError: If no two generators share two budgets.
    """
    grids = size_grids(rows, metric)
    if not grids:
        raise ValueError("two generators must share two values of C (or W of plain beams) in the results")
    values = pl.concat([grid["value"] for grid in grids.values()])
    scale = Normalize(float(values.min()), float(values.max()))  # type: ignore[arg-type]
    shapes = [(grid["generator"].n_unique(), grid["budget"].n_unique()) for grid in grids.values()]
    size = 3.6 + 1.15 * sum(budgets for _, budgets in shapes), 2.4 + 0.75 * max(sizes for sizes, _ in shapes)
    with drawing.sweep_page(rows, metric, size, NOTE) as figure:
        ratios = [budgets for _, budgets in shapes]
        axes = figure.subplots(1, len(grids), squeeze=False, width_ratios=ratios)[0]
        for ax, shape, (name, grid) in zip(axes, shapes, grids.items(), strict=True):
            ax.imshow(
                grid["value"].to_numpy().reshape(shape), cmap="cividis", norm=scale, aspect="auto", origin="lower"
            )
            for i, row in enumerate(grid.to_dicts()):
                text = f"{row['value']:.4f}"
                if row["flops_per_user"]:
                    text += f"\n{flops_text(row['flops_per_user'])}"
                color = "white" if scale(row["value"]) < 0.5 else "black"
                ax.text(i % shape[1], i // shape[1], text, ha="center", va="center", fontsize=8, color=color)
            sizes = grid.unique("generator", keep="first", maintain_order=True).select("generator", "parameters").rows()
            ax.set_yticks(range(shape[0]), [_size_name(*each) for each in sizes])
            ax.set_xticks(range(shape[1]), [f"{budget:,g}" for budget in grid["budget"][: shape[1]]])
            ax.set(title=name, xlabel="beams W" if name == NAMES["plain"] else "candidates C per level (paths)")
            ax.grid(False)
        figure.colorbar(ScalarMappable(scale, "cividis"), ax=axes, label=drawing.metric_name(metric))
    return figure


def _size_name(generator: str, parameters: float | None) -> str:
    """A generator with its number of parameters, where it is known: `small`, `1.2 M parameters`."""
    return f"{generator}\n{EngFormatter(places=1)(parameters)} parameters" if parameters else generator
