"""Figures over the levels of semantic IDs: what the reward is worth at which of them, and where prefixes are lost.

Tables are as `results_table` makes them; a metric that is no column of them raises ValueError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, takewhile

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from promise.analysis.plots import drawing
from promise.analysis.plots.accuracy import looks
from promise.analysis.plots.curves import curves, usable
from promise.analysis.results import per_level

DEPTH_NOTE = (
    "Bars: 95 % bootstrap interval over users. At the other levels the likelihood alone selects.\n"
    "ORM: all candidates are kept to the end, and ranked once by the reward."
)
HRECALL_NOTE = (
    "HRecall at a level: share of users whose true prefix is among the beams kept there. Of each line over C, the "
    "point with the largest C.\nLeft: bars, 95 % interval of a share (Wilson). Right: no intervals, as a table of "
    "results holds none for differences."
)
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
MOST = 6
"""Guided searches that a panel of HRecall shows."""


def depth_settings(rows: pl.DataFrame, metric: str = "recall@10") -> tuple[str, pl.DataFrame]:
    """The settings of one width and C, those with the fewest rewarded levels first.

    Returns:
        Which dials they share, and the settings, means over seeds: `name` (such as `levels 3, 4`), `kind` of search,
        `value` with `low` and `high` (null where there is none). No row where none gives the reward to some levels.
    """
    done = usable(rows, metric).filter(pl.col("search").is_in(("plain", "guided", "orm")))
    weights = [per_level(weight) for weight in done["search.weight"]]
    done = done.with_columns(
        pl.Series("depth", map(len, weights), pl.Int64),
        pl.Series("at", [[i for i, w in enumerate(each, 1) if w > 0] for each in weights], pl.List(pl.Int64)),
        pl.Series("weight", [max(each, default=0.0) for each in weights], pl.Float64),
    )
    same = ["generator", "search.width", "search.candidates", "weight"]
    partly = done.filter(pl.col("search") == "guided", pl.col("at").list.len().is_between(1, pl.col("depth") - 1))
    if partly.is_empty():
        return "", partly
    depth = int(partly["depth"].max())  # type: ignore[arg-type]
    shared = partly.group_by(same, maintain_order=True).len().sort("len", descending=True, maintain_order=True).row(0)
    equal = [pl.col(name).eq_missing(value) for name, value in zip(same, shared, strict=False)]
    plain = pl.col("search") == "plain"
    kept = done.filter((plain & equal[0] & equal[1]) | (~plain & pl.all_horizontal(equal))).with_columns(
        pl.when(pl.col("depth") > 1).then("at").otherwise(pl.lit(list(range(1, depth + 1)))).alias("at")
    )
    names = [_setting_name(search, levels, depth) for search, levels in kept.select("search", "at").rows()]
    found = (
        kept.with_columns(pl.Series("name", names))
        .group_by("name", maintain_order=True)
        .agg(
            pl.col("search").first().alias("kind"),
            pl.col("at").first(),
            pl.col(metric).mean().alias("value"),
            pl.col(f"{metric}_low").mean().alias("low"),
            pl.col(f"{metric}_high").mean().alias("high"),
        )
        .sort(pl.col("kind") == "orm", pl.col("kind") != "plain", pl.col("at").list.len(), "at")
    )
    words = [shared[0], f"W = {shared[1]}", f"C = {shared[2]}", f"λ = {shared[3]:g}"]
    return ", ".join(filter(None, words)), found


def depth_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy by the levels at which the reward selects, a line for each setting.

    Raises:
        ValueError: If no row gives the reward to some levels only.
    """
    shared, settings = depth_settings(rows, metric)
    if settings.is_empty():
        raise ValueError("search.weight must be 0 at some levels and above 0 at others in some row, got no such row")
    with drawing.sweep_page(rows, metric, (8.4, 1.9 + 0.4 * len(settings)), DEPTH_NOTE) as figure:
        ax = figure.subplots()
        looks = {"plain": (drawing.GREY, "s"), "guided": (drawing.BLUE, "o"), "orm": (drawing.BLACK, "^")}
        for place, each in enumerate(settings.to_dicts()):
            color, marker = looks[each["kind"]]
            reach = [
                [each["value"] - (each["low"] or each["value"])],
                [(each["high"] or each["value"]) - each["value"]],
            ]
            ax.errorbar(each["value"], place, xerr=reach, fmt=marker, color=color, markersize=7)
            ax.annotate(f"{each['value']:.4f}", (each["value"], place), xytext=(0, 7), textcoords="offset points",
                        ha="center", fontsize=9, color=color)  # fmt: skip
        ax.set_yticks(range(len(settings)), settings["name"].to_list())
        ax.set_ylim(len(settings) - 0.4, -0.7)
        ax.yaxis.grid(False)
        ax.set_xlabel(drawing.metric_name(metric))
        ax.set_title(f"Accuracy by the levels at which the reward selects ({shared})")
    return figure


@dataclass(frozen=True)
class KeptPrefixes:
    """How many true prefixes one search keeps.

    Attributes:
        name: What a reader sees, such as `guided, W = 20, C = 200`.
        search: Kind of search.
        width: Beams (the largest of the levels').
        context: What a plain beam must share to be compared with it.
        shares: (L,) HRecall by level, each in [0, 1].
        look: How it is drawn.
    """

    name: str
    search: str
    width: float
    context: tuple[str, ...]
    shares: tuple[float, ...]
    look: drawing.Look


def kept_prefixes(rows: pl.DataFrame) -> list[KeptPrefixes]:
    """The searches to show: of every guided curve over C the last point, of plain beams those of the same widths.

    Returns:
        Searches as they stand in other figures, of many guided ones those that keep most at the last level; none where
        no row has HRecall at every level, or dials were drawn at random. An ORM carries C beams, not W: its shares are
        of another kind.
    """
    names = list(takewhile(lambda name: name in rows.columns, (f"hrecall@{level}" for level in count(1))))
    by_level = [{curve.name: curve for curve in curves(rows, name, "candidates")} for name in names]
    drawn = [curve for curve in (by_level[0].values() if names else ()) if curve.search in ("plain", "guided")]
    if any(curve.scattered for curve in drawn):
        return []
    style, found = looks(drawn), []
    for curve in drawn:
        same = [each[curve.name].points for each in by_level if curve.name in each]
        if len(same) < len(names) or len({len(points) for points in same}) > 1:
            continue
        for place in range(len(curve.points)) if curve.search == "plain" else (-1,):
            point, shares = curve.points[place], tuple(points[place].value for points in same)
            dial = f"W = {point.width_name}" if curve.search == "plain" else f"C = {point.candidates:g}"
            about = curve.search, point.width, curve.context
            found.append(KeptPrefixes(f"{curve.name}, {dial}", *about, shares, style[curve.name]))
    guided = sorted((each for each in found if each.search == "guided"), key=lambda each: -each.shares[-1])[:MOST]
    widths = {each.width for each in guided or found}
    return [each for each in found if each in guided or (each.search == "plain" and each.width in widths)]


def gain_over_plain(kept: KeptPrefixes, found: Sequence[KeptPrefixes]) -> NDArray[np.float64] | None:
    """HRecall (L,) minus that of the plain beam of the same width and networks; None for it, or without one."""
    for other in found if kept.search != "plain" else ():
        if other.search == "plain" and (other.width, other.context) == (kept.width, kept.context):
            return np.array(kept.shares) - np.array(other.shares)
    return None


def hrecall_figure(rows: pl.DataFrame, metric: str = "hrecall@1") -> Figure:
    """Draw HRecall per level, and its difference to the plain beam of the same width.

    The right panel is empty, and says so, where no plain beam has the width of a guided one.

    Raises:
        ValueError: If no finished search has HRecall.
    """
    found = kept_prefixes(rows)
    if not found:
        raise ValueError("hrecall@1 must be a column of the results with a value for some search with beams, got none")
    rows = rows.filter(pl.col("search").is_in(("plain", "guided")))
    users = int(usable(rows, metric)["users"].max() or 0) if "users" in rows.columns else 0  # type: ignore[arg-type]
    places = np.arange(1, len(found[0].shares) + 1)
    with drawing.sweep_page(rows, metric, (13.0, 4.8), HRECALL_NOTE) as figure:
        left, right = figure.subplots(1, 2)
        left.set(title="True prefix still among the beams", ylabel="HRecall (share of users, log scale)", yscale="log")
        right.set(title="Beside the plain beam of the same width", ylabel="difference in HRecall (percentage points)")
        right.axhline(0, color=drawing.GREY, linewidth=1.2, zorder=1)
        for kept in found:
            ends = drawing.wilson(kept.shares, users) if users else (kept.shares, kept.shares)
            drawing.series(left, places, kept.shares, ends, kept.name, kept.look)
            gain = gain_over_plain(kept, found)
            if gain is not None:
                right.plot(
                    places, 100 * gain, kept.look.line, marker=kept.look.marker, color=kept.look.color, label=kept.name
                )
        if len(right.lines) == 1:
            notice = "no plain beam of the same width"
            right.text(0.5, 0.6, notice, transform=right.transAxes, ha="center", color=drawing.GREY)
        ticks = [tick for tick in TICKS if tick >= left.get_ylim()[0]]
        left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        left.set_yticks([], minor=True)
        for ax in (left, right):
            drawing.level_axis(ax, len(places))
    return figure


def _setting_name(search: str, levels: Sequence[int], depth: int) -> str:
    """What a setting of the reward's levels is called."""
    if search != "guided":
        return "ORM" if search == "orm" else "no level (plain beam)"
    if len(levels) == depth:
        return f"all {depth} levels"
    return f"level {levels[0]} only" if len(levels) == 1 else f"levels {', '.join(map(str, levels))}"
