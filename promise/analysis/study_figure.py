"""The figure of a study: every trial's accuracy and cost, the front, and the trial that is proposed."""

from __future__ import annotations

from typing import Any

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.drawing import BLACK, GREY, MARKERS, PALETTE, draw_frontier, log_axis
from promise.analysis.figures import FOOTNOTE, STYLE, flop_unit, metric_name

#: Costs as an axis calls them; FLOPs have units of their own.
COSTS = {
    "decoder_tokens_per_user": "Decoder tokens per user (log scale)",
    "prm_paths_per_user": "Scored paths per user (log scale)",
    "seconds_per_user": "Milliseconds per user (log scale)",
}


def study_figure(rows: pl.DataFrame, accuracy: str, cost: str, proposed: int | None, title: str) -> Figure:
    """Draw the trials of a study, by kind of search, with the intervals of those on the front.

    Args:
        rows: A table as `results_table` makes it, of trials that are done, with a column `trial`.
        accuracy: Column of the accuracy.
        cost: Column of the cost; `seconds_per_user` is seconds over users.
        proposed: Number of the trial that is proposed; None = none.
        title: What was searched.

    Returns:
        A figure of one panel; trials that lack one of the two are left out.
    """
    costs = pl.col("seconds") / pl.col("users") if cost == "seconds_per_user" else pl.col(cost)
    rows = rows.with_columns(costs.alias("_cost")).filter(pl.col("_cost") > 0, pl.col(accuracy).is_not_null())
    unit, word = flop_unit(rows["_cost"].to_list()) if cost == "flops_per_user" else (1.0, "")
    if cost == "seconds_per_user":
        unit = 1e-3
    rows = rows.with_columns(pl.col("_cost") / unit)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 5.0), layout="constrained")
        ax = figure.add_subplot()
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        for kind in rows["search"].unique(maintain_order=True):
            _draw_kind(ax, rows.filter(pl.col("search") == kind), str(kind), accuracy)
        log_axis(ax, rows["_cost"].to_list(), at_values=False)
        if len(rows):
            draw_frontier(ax, rows["_cost"].to_list(), rows[accuracy].to_list())
        if len(chosen := rows.filter(pl.col("trial").eq_missing(proposed))):
            _mark(ax, chosen.row(0, named=True), accuracy)
        ax.set_ylabel(metric_name(accuracy))
        ax.set_xlabel(COSTS.get(cost, f"{word} per user (log scale; one multiply-add = 2 FLOP)"))
        if len(rows):
            ax.legend(loc="lower right", framealpha=0.85, edgecolor="none")
        figure.supxlabel(f"Grey step: front. {FOOTNOTE}", x=0.01, ha="left", fontsize=8.5, color=GREY)
    return figure


def _draw_kind(ax: Axes, rows: pl.DataFrame, kind: str, accuracy: str) -> None:
    """The trials of one kind of search, with faint bars for their intervals."""
    color = GREY if kind == "plain" else PALETTE[0] if kind == "guided" else PALETTE[1]
    xs, ys = rows["_cost"].to_list(), rows[accuracy].to_list()
    style: Any = {"color": color, "marker": MARKERS.get(kind, "o"), "markersize": 6}
    ax.plot(xs, ys, linestyle="none", label=f"{kind} ({len(rows)} trials)", zorder=3, **style)
    ax.vlines(xs, rows[f"{accuracy}_low"], rows[f"{accuracy}_high"], color=color, alpha=0.2, linewidth=1, zorder=2)


def _mark(ax: Axes, row: dict[str, Any], accuracy: str) -> None:
    """A ring around the proposed trial, its dials in the legend."""
    letters = {"W": "search.width", "C": "search.candidates", "λ": "search.weight"}
    dials = [f"{letter} = {row[name]:g}" for letter, name in letters.items() if isinstance(row.get(name), int | float)]
    text = f"proposed, trial {row['trial']}: {row['search']} {', '.join(dials)}"
    style: Any = {"markersize": 13, "fillstyle": "none", "color": BLACK, "markeredgewidth": 1.5, "zorder": 4}
    ax.plot([row["_cost"]], [row[accuracy]], "o", linestyle="none", label=text, **style)
