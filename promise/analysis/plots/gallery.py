"""The figures that a table, as `results_table` makes it, supports, the telling one first, and all of them as files."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from promise.analysis.plots.accuracy import candidates_figure, frontier_figure, weight_figure
from promise.analysis.plots.curves import usable
from promise.analysis.plots.drawing import save_figure
from promise.analysis.plots.levels import hrecall_figure, kept_prefixes
from promise.analysis.results import METRIC, per_level

FIGURES: dict[str, tuple[str, Callable[[pl.DataFrame], Figure]]] = {
    "candidates": ("Accuracy against candidates and compute", candidates_figure),
    "frontier": ("Accuracy against compute", frontier_figure),
    "weight": ("Accuracy against the weight of the reward model", weight_figure),
    "hrecall": ("True prefix still among the beams, level by level", hrecall_figure),
}
"""Every figure of a sweep by its name, with its heading."""


def supported(rows: pl.DataFrame) -> list[str]:
    """Names of the figures that show something of a table, the one that shows the dial that varies first.

    Several generators, or trials of a study: `frontier`. More values of λ than of C in guided or ORM search, each the
    same at all levels: `weight`. Anything else: `candidates`, which any table has.
    """
    done = usable(rows, METRIC)
    judged = done.filter(pl.col("search").is_in(("guided", "orm")))
    levels = [set(per_level(weight)) for weight in judged["search.weight"].to_list()]
    weights = len({tuple(each) for each in levels if len(each) == 1})
    beams = done.filter(pl.col("search").is_in(("plain", "guided", "orm")))
    there = {
        "candidates": beams.select("search", "search.candidates").n_unique() > beams["search"].n_unique(),
        "frontier": len(done.filter(pl.col("flops_per_user") > 0)) > 1,
        "weight": weights > 2,
        "hrecall": len(judged) > 0 and bool(kept_prefixes(rows)),
    }
    # Dials that a study chose are compared by what they cost.
    several = done["generator"].drop_nulls().n_unique() > 1 or "trial" in rows.columns
    more_weights = weights > max(judged["search.candidates"].n_unique(), 1)
    first = "frontier" if several else "weight" if more_weights else "candidates"
    return [first, *(name for name in FIGURES if there[name] and name != first)]


def compared(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows to draw: a control answers a question in the findings; in a figure it would squeeze what is compared."""
    if "search.control" not in rows.columns:
        return rows
    kept = rows.filter(pl.col("search.control").fill_null("none") == "none")
    return kept if len(kept) else rows


def write_figures(rows: pl.DataFrame, folder: Path) -> dict[str, str]:
    """Write every figure that a table supports, in place of those of an earlier run: .svg and .png.

    The first is `figure`, the others are `figure-NAME`; the files by name (`figure_svg`, `figure_NAME`) are returned.
    """
    rows = compared(rows)
    paths: dict[str, str] = {}
    for place, name in enumerate(supported(rows)):
        stem, key = ("figure", "figure") if place == 0 else (f"figure-{name}", f"figure_{name}")
        svg, png = save_figure(FIGURES[name][1](rows), folder / stem)
        paths |= {key: str(png), f"{key}_svg": str(svg)}
    for old in folder.glob("figure*.*"):
        if str(old) not in paths.values():
            old.unlink(missing_ok=True)
    return paths
