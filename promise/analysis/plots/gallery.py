"""The figures that a table of results supports, the telling one first, and all of them as files.

Tables are as `results_table` makes them; a metric that is no column of them raises ValueError.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from promise.analysis.plots.accuracy import candidates_figure, frontier_figure, weight_figure
from promise.analysis.plots.curves import BEAMS, WEIGHTED, usable
from promise.analysis.plots.drawing import save_figure
from promise.analysis.plots.levels import depth_figure, depth_settings, hrecall_figure, kept_prefixes
from promise.analysis.plots.sizes import size_figure, size_grids
from promise.analysis.results import per_level

FIGURES: dict[str, tuple[str, Callable[[pl.DataFrame, str], Figure]]] = {
    "candidates": ("Accuracy against candidates and compute", candidates_figure),
    "frontier": ("Accuracy against compute", frontier_figure),
    "weight": ("Accuracy against the weight of the reward model", weight_figure),
    "size": ("A larger generator or more search", size_figure),
    "depth": ("Accuracy by the levels at which the reward selects", depth_figure),
    "hrecall": ("True prefix still among the beams, level by level", lambda rows, _: hrecall_figure(rows)),
}
"""Every figure of a sweep by its name, with its heading."""


def supported(rows: pl.DataFrame, metric: str = "recall@10") -> list[str]:
    """Names of the figures that show something of a table, the one that shows the dial that varies first.

    Several levels at which the reward acts: `depth`. Several generators, or trials of a study: `frontier`. More values
    of λ than of C in guided or ORM search: `weight`. Anything else: `candidates`, which any table has.
    """
    done = usable(rows, metric)
    judged = done.filter(pl.col("search").is_in(("guided", "orm")))
    weights = {tuple(per_level(weight)) for weight in judged["search.weight"].to_list()}
    searches = done.filter(pl.col("search").is_in(BEAMS)).group_by("search").agg(pl.col("search.candidates").n_unique())
    depth = bool(depth_settings(rows, metric)[1])
    several = done["generator"].drop_nulls().n_unique() > 1
    there = {
        "candidates": any(count > 1 for count in searches["search.candidates"].to_list()),
        "frontier": len(done.filter(pl.col("flops_per_user") > 0)) > 1,
        "weight": len(weights) > 2 and not depth,
        "size": several and bool(size_grids(rows, metric)),
        "depth": depth,
        "hrecall": bool(set(done["search"].to_list()) & (BEAMS & WEIGHTED)) and bool(kept_prefixes(rows)),
    }
    more_weights = len(weights) > max(judged["search.candidates"].n_unique(), 1)
    several |= "trial" in rows.columns  # dials that a study chose are compared by what they cost
    first = "depth" if depth else "frontier" if several else "weight" if more_weights else "candidates"
    return [first, *(name for name in FIGURES if there[name] and name != first)]


def compared(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows to draw: a control answers a question in the findings; in a figure it would squeeze what is compared."""
    if "search.control" not in rows.columns:
        return rows
    kept = rows.filter(pl.col("search.control").fill_null("none") == "none")
    return kept if len(kept) else rows


def write_figures(rows: pl.DataFrame, folder: Path, metric: str = "recall@10") -> dict[str, str]:
    """Write every figure that a table supports: the first as `figure`, the others as `figure-NAME`, .svg and .png.

    Figures of an earlier run with other points are removed from the folder.

    Returns:
        The files by name: `figure`, `figure_svg`, `figure_NAME`, `figure_NAME_svg`.
    """
    rows = compared(rows)
    for old in folder.glob("figure*.*"):
        old.unlink()
    paths: dict[str, str] = {}
    for place, name in enumerate(supported(rows, metric)):
        stem, key = ("figure", "figure") if place == 0 else (f"figure-{name}", f"figure_{name}")
        svg, png = save_figure(FIGURES[name][1](rows, metric), folder / stem)
        paths |= {key: str(png), f"{key}_svg": str(svg)}
    return paths
