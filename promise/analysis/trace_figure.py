"""The figure of one user's search: at every level what is likely, what is rewarded, and who keeps the target."""

from __future__ import annotations

from typing import Any

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.drawing import BLACK, GREY, PALE, PALETTE
from promise.analysis.figures import STYLE

COLUMNS = ("level", "log_prob", "reward", "candidate", "plain", "guided", "target")
KEPT: dict[tuple[bool, bool], tuple[str, str, str]] = {
    (False, False): ("kept by neither", PALE, "."),
    (True, False): ("kept by the plain beam alone", PALETTE[1], "s"),
    (False, True): ("kept by guided search alone", PALETTE[0], "o"),
    (True, True): ("kept by both", PALETTE[2], "D"),
}
"""(plain, guided) -> what a prefix is called, its colour and its marker."""
NOTE = (
    "Each mark: a prefix that a search met. Dashed: the least likely one that the plain beam keeps; dotted: the lowest "
    "reward that guided search keeps. A prefix whose parent is gone is not met."
)


def trace_figure(rows: pl.DataFrame, title: str = "") -> Figure:
    """Draw reward against log-probability, a panel for each level.

    Args:
        rows: A row for each prefix that a search met: level, log_prob, reward, and whether it is a candidate of the
            guided search, is kept by the plain and by the guided one, and is the target's own.
        title: Whose search it is.

    Raises:
        ValueError: If the table lacks a column or has no row.
    """
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing or rows.is_empty():
        raise ValueError(f"no table of a trace: it lacks {', '.join(missing) or 'rows'}")
    levels = rows["level"].unique().sort().to_list()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.9 * len(levels) + 0.6, 4.6), layout="constrained")
        axes = figure.subplots(1, len(levels), squeeze=False)[0]
        for ax, level in zip(axes, levels, strict=True):
            _panel(ax, rows.filter(pl.col("level") == level), level)
        axes[0].set_ylabel("reward of the path (a logit)")
        named = {label: mark for ax in axes for mark, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(named.values(), named.keys(), loc="outside upper right", ncols=len(named), frameon=False)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        figure.supxlabel(NOTE, x=0.01, ha="left", fontsize=8, color=GREY)
    return figure


def verdict(target: dict[str, Any]) -> str:
    """Who keeps the target's prefix at a level.

    >>> verdict({"plain": False, "guided": True})
    'only guided search keeps the target'
    """
    keepers = {
        (True, True): "both keep",
        (True, False): "only the plain beam keeps",
        (False, True): "only guided search keeps",
        (False, False): "neither keeps",
    }
    return f"{keepers[target['plain'], target['guided']]} the target"


def _panel(ax: Axes, rows: pl.DataFrame, level: int) -> None:
    """Draw one level."""
    for (plain, guided), (name, color, marker) in KEPT.items():
        some = rows.filter((pl.col("plain") == plain) & (pl.col("guided") == guided))
        if len(some):
            ax.plot(some["log_prob"], some["reward"], marker, color=color, label=name, markersize=6, zorder=3)
    for keeper, column, draw, line in (("plain", "log_prob", ax.axvline, "--"), ("guided", "reward", ax.axhline, ":")):
        kept = rows.filter(pl.col(keeper))[column].to_list()
        if kept:
            draw(min(kept), color=GREY, linestyle=line, linewidth=1.1, zorder=1)
    words = ""
    for target in rows.filter(pl.col("target")).to_dicts():
        place = (target["log_prob"], target["reward"])
        ax.plot(*place, "o", mfc="none", color=BLACK, markersize=13, markeredgewidth=1.6, label="target", zorder=4)
        words = f": {verdict(target)}"
    ax.set_title(f"Level {level}{words}", loc="left")
    ax.set_xlabel("log-probability of the path (nats)")
    ax.margins(0.08)
