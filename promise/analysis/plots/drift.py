"""The figure of the drift analysis: where greedy decoding leaves the path, what guidance keeps, and why."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.plots import drawing
from promise.analysis.plots.curves import spelled
from promise.analysis.plots.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, PALE, Look

NOTE = f"{drawing.FOOTNOTE} A code after a wrong prefix names another part of the catalogue, even when it is equal."
TITLES = {
    "codes": "Accuracy of the greedy code at each level",
    "errors": "First wrong greedy code, accuracy of later ones",
    "beams": "True prefix still among the beams (HRecall)",
    "changes": "Users whom guidance rescues and damages",
    "ranks": "Mean reciprocal rank of the true prefix, if a candidate",
    "judges": "Candidates, and how far their judges can be believed",
}
"""The panels."""
FIRST, SECOND, THIRD, LAST = Look(BLUE), Look(ORANGE, "--", "s"), Look(GREY, "--", "s"), Look(BLACK, ":", "D")
LINES = (
    ("codes", "teacher_forced", "", "after true codes", FIRST),
    ("codes", "free_running", "", "after own codes", SECOND),
    ("codes", "free_running_prefix", "", "whole path right", LAST),
    ("errors", "after_error_teacher_forced", "", "after true codes", FIRST._replace(line="")),
    ("errors", "after_error_free_running", "", "after own codes", SECOND._replace(line="")),
    ("beams", "hrecall_plain", "recall@{}_plain", "plain", THIRD),
    ("beams", "hrecall_guided", "recall@{}_guided", "guided", FIRST),
    ("beams", "hrecall_oracle", "recall@{}_oracle", "oracle", LAST),
    ("ranks", "reward_mrr", "", "by reward", FIRST),
    ("ranks", "likelihood_mrr", "", "by likelihood", THIRD),
    ("judges", "proposal_recall", "", "true prefix is a candidate", LAST),
    ("judges", "reward_ece", "", "calibration error, reward", FIRST),
    ("judges", "likelihood_ece", "", "calibration error, likelihood", THIRD),
)
"""Panel, measure, its name for the final list of {} items, what it is called, and how it is drawn."""
BARS = (
    ("errors", "first_error", "no_error", "first error here", 1, PALE),
    ("changes", "rescue", "rescue@{}", "rescued by guidance", 1, GREEN),
    ("changes", "damage", "damage@{}", "damaged by guidance", -1, ORANGE),
)
"""The same of bars, with their direction and colour."""


def drift_figure(rows: pl.DataFrame) -> Figure:
    """Draw the analysis of one split.

    Args:
        rows: The table of `promise evaluate analysis=drift`: a row for each depth and measure.

    Returns:
        A panel for each of `TITLES`; measures that are not there are left out.
    """
    k = next((name[7:].partition("_")[0] for name in map(str, rows["measure"]) if name.startswith("recall@")), "")
    finals = {"errors": "none", "beams": k and f"top {k}", "changes": k and f"top {k}"}
    with drawing.page((14.0, 8.0), title(rows), NOTE) as figure:
        panels = dict(zip(TITLES, figure.subplots(2, 3).ravel(), strict=True))
        for panel, measure, final, name, sign, color in BARS:
            draw_bars(panels[panel], series(rows, measure, final.format(k)), name, sign, color)
        for panel, measure, final, name, look in LINES:
            line = series(rows, measure, final.format(k))
            if len(line):
                ends = line["low"].to_numpy(), line["high"].to_numpy()
                drawing.series(panels[panel], line["place"], line["value"], ends, name, look)
        for panel, ax in panels.items():
            ax.set(title=TITLES[panel], label=panel)
            ax.set_ylabel("share of users" if panel != "ranks" else "1 = always first")
            if panel != "changes":
                ax.set_ylim(0, ax.get_ylim()[1] * 1.08)
            drawing.level_axis(ax, level_count(rows), finals.get(panel, ""))
            if ax.get_legend_handles_labels()[0]:
                ax.legend(fontsize=8.5)
    return figure


def title(rows: pl.DataFrame) -> str:
    """Data, split, users and dials of the analysis; W and C are those of every level, where they differ."""
    first, levels = rows.row(0, named=True), rows.drop_nulls("depth").unique("depth").sort("depth")
    dials = (f"{name} = {spelled(levels[name].cast(pl.Float64).to_list())}" for name in ("W", "C"))
    return f"{first['dataset']} · {first['split']} split · {max(rows['users'].to_list()):,} users · {', '.join(dials)}"


def series(rows: pl.DataFrame, name: str, final: str = "") -> pl.DataFrame:
    """A measure along the levels; `final` is its name for the whole path or the final list, where it is measured.

    Returns:
        `place` along x (level 1..L, rising; L + 1 for the final one), `value`, and its interval `low`, `high` (NaN
        where there is none), as floats.
    """
    here = (pl.col("measure") == name) & pl.col("depth").is_not_null()
    there = (pl.col("measure") == final) & pl.col("depth").is_null()
    place = pl.col("depth").fill_null(level_count(rows) + 1).alias("place")
    found = rows.filter(here | there).select(place.cast(pl.Float64), pl.col("value", "low", "high").cast(pl.Float64))
    return found.with_columns(pl.col("low", "high").fill_null(float("nan"))).sort("place")


def level_count(rows: pl.DataFrame) -> int:
    """L, the deepest level of the table."""
    return int(rows["depth"].max() or 0)  # type: ignore[arg-type]


def draw_bars(ax: Axes, bars: pl.DataFrame, name: str, sign: int, color: str) -> None:
    """Draw shares of users as bars with their numbers, upwards or downwards."""
    if bars.is_empty():
        return
    values = bars["value"].to_numpy()
    reach = np.nan_to_num(np.abs([values - bars["low"].to_numpy(), bars["high"].to_numpy() - values]))
    style: Any = {"yerr": reach[::sign], "error_kw": {"elinewidth": 1.1}, "color": color, "alpha": 0.55, "zorder": 1}
    drawn = ax.bar(bars["place"], sign * values, 0.6, label=name, **style)
    ax.bar_label(drawn, [f"{value:.1%}" for value in values], padding=2, fontsize=8)
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    ax.margins(y=0.15)
