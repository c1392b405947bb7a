"""The figure of the drift analysis: where greedy decoding leaves the path, what guidance keeps, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from promise.analysis.drawing import BLACK, GREY, PALE, PALETTE, Label, Look, write_labels
from promise.analysis.figures import FOOTNOTE, STYLE

BLUE, ORANGE, GREEN = PALETTE[:3]
CODES = {
    "teacher_forced": ("after true codes", Look(BLUE, "-", "o")),
    "free_running": ("after own codes", Look(ORANGE, "--", "s")),
    "free_running_prefix": ("whole path right", Look(BLACK, ":", "D")),
}
"""Measures of a greedy code: what they are called, and how they are drawn."""
AFTER = {
    "after_error_teacher_forced": ("after true codes", Look(BLUE, "", "o")),
    "after_error_free_running": ("after own codes", Look(ORANGE, "", "s")),
}
"""The same, of users whose greedy path has left the true one."""
SEARCHES = {"plain": Look(GREY, "--", "s"), "guided": Look(BLUE, "-", "o"), "oracle": Look(BLACK, ":", "D")}
"""How each search is drawn."""
CHANGES = {
    "rescue": ("rescued by guidance", Look(GREEN, "", "^"), 1),
    "damage": ("damaged by guidance", Look(ORANGE, "", "v"), -1),
}
"""What guidance does to users: what it is called, how it is drawn, and in which direction."""
JUDGES = {"reward": Look(BLUE, "-", "o"), "likelihood": Look(GREY, "--", "s")}
"""How each judge of candidates is drawn."""


def drift_figure(rows: pl.DataFrame) -> Figure:
    """Draw the analysis of one split.

    Args:
        rows: The table of `promise evaluate analysis=drift`: a row for each depth and measure.

    Returns:
        Four panels: accuracy per level; where the first error falls and what follows it; HRecall of the searches with
        rescue and damage; the place of the true prefix among the candidates. Measures that are not there are left out.

    Raises:
        ValueError: If the table lacks a column or has no row.
    """
    missing = {"dataset", "split", "users", "W", "C", "depth", "measure", "value", "low", "high"} - set(rows.columns)
    if missing or rows.is_empty():
        raise ValueError(f"no table of the drift analysis: it lacks {', '.join(sorted(missing)) or 'rows'}")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11.6, 8.6), layout="constrained")
        panels = figure.subplot_mosaic(
            [["codes", "errors"], ["beams", "ranks"], ["changes", "ranks"]], height_ratios=(5, 4, 2)
        )
        figure.suptitle(title(rows), x=0.01, ha="left", fontsize=12, fontweight="bold")
        codes_panel(panels["codes"], rows)
        errors_panel(panels["errors"], rows)
        beams_panel(panels["beams"], rows)
        changes_panel(panels["changes"], rows)
        ranks_panel(panels["ranks"], rows)
        note = f"{FOOTNOTE} A code after a wrong prefix names another part of the catalogue, even when it is equal."
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color=GREY)
    return figure


def title(rows: pl.DataFrame) -> str:
    """What the numbers were measured on."""
    first = rows.row(0, named=True)
    return f"{first['dataset']} · {first['split']} split · {max(rows['users'].to_list()):,} users · {beams(rows)}"


def beams(rows: pl.DataFrame) -> str:
    """Width and candidates: `W = 20, C = 200`, or one of them per level."""
    levels = rows.filter(pl.col("depth").is_not_null()).unique("depth").sort("depth")
    words = []
    for name in ("W", "C"):
        values = [str(value) for value in levels[name].to_list()]
        words.append(f"{name} = {values[0] if len(set(values)) == 1 else '-'.join(values)}")
    return ", ".join(words)


class Series(NamedTuple):
    """A measure along the levels.

    Attributes:
        places: (n,) places along x: levels 1..L, rising; L + 1 for the whole path or the final list.
        values: (n,) the measure.
        low: (n,) lower ends of its intervals; equal to the value where there is none.
        high: (n,) upper ends.
    """

    places: NDArray[np.float64]
    values: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def series(rows: pl.DataFrame, name: str, final: str = "") -> Series:
    """A measure per level, and what it is called for the whole path or the final list, if it has a name there."""
    here = (pl.col("measure") == name) & pl.col("depth").is_not_null()
    there = (pl.col("measure") == final) & pl.col("depth").is_null()
    found = rows.filter(here | there).with_columns(pl.col("depth").fill_null(level_count(rows) + 1)).sort("depth")
    values = found["value"].cast(pl.Float64)
    ends = (found[end].cast(pl.Float64).fill_null(values).to_numpy() for end in ("low", "high"))
    return Series(found["depth"].cast(pl.Float64).to_numpy(), values.to_numpy(), *ends)


def level_count(rows: pl.DataFrame) -> int:
    """L, the deepest level of the table."""
    return int(rows["depth"].drop_nulls().max() or 0)  # type: ignore[arg-type]


def codes_panel(ax: Axes, rows: pl.DataFrame) -> None:
    """Accuracy of the greedy code, given the true codes before it or its own."""
    ax.set_title("Accuracy of the greedy code at each level", loc="left")
    ax.set_ylabel("share of users")
    ax.set_ylim(0, 1)
    levels_axis(ax, rows)
    name_lines(ax, [draw(ax, series(rows, name), text, look) for name, (text, look) in CODES.items()])


def errors_panel(ax: Axes, rows: pl.DataFrame) -> None:
    """Where greedy paths first go wrong, and accuracy at the levels that follow."""
    ax.set_title("First wrong greedy code (bars), accuracy of later ones", loc="left")
    ax.set_ylabel("share of users")
    ax.set_ylim(0, 1)
    levels_axis(ax, rows, "none")
    bars = series(rows, "first_error", "no_error")
    ax.bar(bars.places, bars.values, 0.7, color="#d9d9d9", label="first error here", zorder=1)
    whiskers(ax, bars, PALE)
    write_values(ax, bars.places - 0.33, bars.values + 0.035, bars.values, GREY)
    labels = []
    for (name, (text, look)), shift in zip(AFTER.items(), (0.2, 0.32), strict=True):
        after = series(rows, name)
        labels.append(draw(ax, after._replace(places=after.places + shift), text, look))
    name_lines(ax, labels)


def beams_panel(ax: Axes, rows: pl.DataFrame) -> None:
    """HRecall of the searches, and their recall in the final lists."""
    ax.set_title("True prefix still among the beams", loc="left")
    ax.set_ylabel("HRecall (share of users)")
    k = listed(rows)
    levels_axis(ax, rows, f"top {k}" if k else "")
    ax.set_xlabel("")
    name_lines(
        ax,
        [
            draw(ax, series(rows, f"hrecall_{name}", f"recall@{k}_{name}"), name, look)
            for name, look in SEARCHES.items()
        ],
    )
    ax.set_ylim(bottom=0)


def changes_panel(ax: Axes, rows: pl.DataFrame) -> None:
    """Users that guidance rescues (upwards) and damages (downwards)."""
    ax.set_ylabel("share of users")
    k = listed(rows)
    levels_axis(ax, rows, f"top {k}" if k else "")
    labels = []
    for name, (text, look, sign) in CHANGES.items():
        users = series(rows, name, f"{name}@{k}")
        users = users._replace(values=sign * users.values, low=sign * users.low, high=sign * users.high)
        ax.bar(users.places, users.values, 0.5, color=look.color, alpha=0.55, label=text, zorder=1)
        whiskers(ax, users, look.color)
        write_values(ax, users.places, users.values / 2, abs(users.values), BLACK, "center")
        if len(users.places):
            labels.append(Label(float(users.values[-1]), text, look))
    ax.axhline(0, color="#666666", linewidth=0.8)
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    name_lines(ax, labels)


def ranks_panel(ax: Axes, rows: pl.DataFrame) -> None:
    """Where the true prefix stands among the candidates, by each judge, and how far the reward can be believed."""
    ax.set_title("Place of the true prefix among the candidates, where it is one", loc="left")
    ax.set_ylabel("mean reciprocal rank (1 = always first)")
    labels = []
    for name, look in JUDGES.items():
        ranks, medians = series(rows, f"{name}_mrr"), series(rows, f"{name}_median_rank")
        labels.append(draw(ax, ranks, f"by {name}", look))
        middle = dict(zip(medians.places.tolist(), medians.values.tolist(), strict=True))
        for x, value in zip(ranks.places.tolist(), ranks.values.tolist(), strict=True):
            if x in middle:
                ax.annotate(
                    f"{middle[x]:g}", (x, value), (0, 9 if name == "reward" else -17), textcoords="offset points",
                    ha="center", color=look.color, fontsize=8.5, zorder=5,
                    path_effects=[withStroke(linewidth=2.5, foreground="white")],
                )  # fmt: skip
    ax.set_ylim(0, max(ax.get_ylim()[1], 0.1) * 1.1)
    levels_axis(ax, rows)
    ticks = {level: [str(level)] for level in range(1, level_count(rows) + 1)}
    for name, words in (("proposal_recall", "{:.0%} there"), ("reward_ece", "ECE {:.3f}")):
        found = series(rows, name)
        for level, value in zip(found.places.tolist(), found.values.tolist(), strict=True):
            ticks[level].append(words.format(value))
    ax.set_xticks(list(ticks), ["\n".join(lines) for lines in ticks.values()])
    ax.set_xlabel(
        "level (at the points: median rank; there: true prefix is a\ncandidate; ECE: calibration error of the reward)"
    )
    name_lines(ax, labels)


def draw(ax: Axes, line: Series, name: str, look: Look) -> Label:
    """Join a series, with whiskers for its intervals; its label has no height where it has no point."""
    whiskers(ax, line, look.color)
    ax.plot(*line[:2], label=name, color=look.color, linestyle=look.line, marker=look.marker, markersize=5.5, zorder=3)
    return Label(float(line.values[-1]) if len(line.values) else math.nan, name, look)


def name_lines(ax: Axes, labels: Sequence[Label]) -> None:
    """Write the names of what has a point beside the panel."""
    write_labels(ax, [label for label in labels if not math.isnan(label.y)])


def whiskers(ax: Axes, line: Series, color: str) -> None:
    """Draw the intervals of a series."""
    reach = np.abs([line.values - line.low, line.high - line.values])
    ax.errorbar(line.places, line.values, reach, fmt="none", ecolor=color, elinewidth=1.1, alpha=0.6, zorder=2)


def write_values(
    ax: Axes, places: NDArray[np.float64], heights: NDArray[np.float64], shares: NDArray[np.float64], color: str,
    align: Literal["left", "center"] = "left",
) -> None:  # fmt: skip
    """Write the shares that bars stand for, beginning or centred at some places."""
    for x, height, share in zip(places, heights, shares, strict=True):
        ax.annotate(f"{share:.1%}", (x, height), va="center", ha=align, fontsize=8, color=color, zorder=5)


def listed(rows: pl.DataFrame) -> str:
    """Length of the final lists that were compared, as the measures name it; empty without one."""
    names = [name for name in rows["measure"].to_list() if name.startswith("recall@")]
    return names[0].removeprefix("recall@").partition("_")[0] if names else ""


def levels_axis(ax: Axes, rows: pl.DataFrame, final: str = "") -> None:
    """Put a tick at every level, and one for what follows the last."""
    ticks = {level: str(level) for level in range(1, level_count(rows) + 1)}
    if final:
        ticks[len(ticks) + 1] = final
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.set_xlim(0.5, len(ticks) + 0.5)
    ax.set_xlabel("level")
    ax.xaxis.grid(False)
