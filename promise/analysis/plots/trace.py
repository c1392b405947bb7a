"""The figure of one user's search: at every level what is likely, what is rewarded, and who keeps the target."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.plots import drawing

COLUMNS = ("level", "log_prob", "reward", "candidate", "plain", "guided", "target")
KEPT: dict[tuple[bool, bool], tuple[str, str, str]] = {
    (False, False): ("neither", drawing.PALE, "."),
    (True, False): ("the plain beam alone", drawing.ORANGE, "s"),
    (False, True): ("guided search alone", drawing.BLUE, "o"),
    (True, True): ("both", drawing.GREEN, "D"),
}
"""(plain, guided) -> who keeps a prefix, its colour and its marker."""
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
    with drawing.page((3.9 * len(levels) + 2.4, 4.4), title, NOTE) as figure:
        axes = figure.subplots(1, len(levels), squeeze=False)[0]
        for ax, level in zip(axes, levels, strict=True):
            _panel(ax, rows.filter(pl.col("level") == level), level)
        axes[0].set_ylabel("reward of the path (a logit)")
    return figure


def _panel(ax: Axes, rows: pl.DataFrame, level: int) -> None:
    """Draw one level."""
    ax.set(title=f"Level {level}", xlabel="log-probability of the path (nats)")
    for (plain, guided), (who, color, marker) in KEPT.items():
        some = rows.filter((pl.col("plain") == plain) & (pl.col("guided") == guided))
        if len(some):
            ax.plot(some["log_prob"], some["reward"], marker, color=color, label=f"kept by {who}", markersize=6)
    for keeper, column, draw, line in (("plain", "log_prob", ax.axvline, "--"), ("guided", "reward", ax.axhline, ":")):
        kept = rows.filter(pl.col(keeper))[column].to_list()
        if kept:
            draw(min(kept), color=drawing.GREY, linestyle=line, linewidth=1.1, zorder=1)
    for target in rows.filter(pl.col("target")).to_dicts():
        ax.plot(
            target["log_prob"], target["reward"], "o", mfc="none", color=drawing.BLACK, markersize=13, label="target"
        )
        ax.set_title(f"Level {level}: target kept by {KEPT[target['plain'], target['guided']][0]}")
    ax.margins(0.08)
