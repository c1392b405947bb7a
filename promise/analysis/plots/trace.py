"""The figures of one user's search: what is likely and what is rewarded at every level; its prefixes as a tree."""

from collections.abc import Mapping
from itertools import count
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from promise.analysis.plots import drawing

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
TREE_NOTE = (
    "Each box: a prefix, the items below it and what they have in common (of one item its title), its log-probability "
    "(nats) and its reward. Dashed: cut by guided search. Thick: the way of the target."
)
#: Share of a level's width and of a row's height that a box takes, and the characters that fit into a line of it.
WIDE, HIGH, LETTERS = 0.84, 0.8, 38


def trace_figure(rows: pl.DataFrame, title: str = "") -> Figure:
    """Draw reward against log-probability, a panel for each level.

    Args:
        rows: A row for each prefix that a search met: level, log_prob, reward, and whether it is kept by the plain and
            by the guided search, and is the target's own.
        title: Whose search it is.
    """
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
        ring: Any = {"mfc": "none", "color": drawing.BLACK, "markersize": 13, "label": "target"}
        ax.plot(target["log_prob"], target["reward"], "o", **ring)
        ax.set_title(f"Level {level}: target kept by {KEPT[target['plain'], target['guided']][0]}")
    ax.margins(0.08)


def tree_figure(nodes: pl.DataFrame, title: str = "", note: str = "") -> Figure:
    """Draw a tree from left to right, a column for each level.

    Args:
        nodes: A row for each prefix to show: level (1..L), node and parent (numbers within a level and the one above),
            prefix, items below it and what it holds, log_prob (null = not met), reward, whether the plain and the
            guided search keep it, and whether it is the target's. The parents of all are among them.
        title: Whose search it is.
        note: What is said below the drawing, before how to read it.
    """
    places = heights(nodes)
    levels, rows = max(level for level, _ in places), 1 + max(places.values())
    with drawing.page((3.4 * levels + 0.6, 0.62 * rows + 1.8), title, f"{note} {TREE_NOTE}".strip()) as figure:
        ax = figure.subplots()
        ax.set(xlim=(-0.25, levels), ylim=(rows - 0.4, -1))
        ax.set_axis_off()
        root = (rows - 1) / 2
        ax.text(-0.2, root, "user", va="center", ha="center", rotation=90)
        for level in range(1, levels + 1):
            ax.text(level - 1, -0.8, f"Level {level}", fontweight="bold", va="center")
        for row in nodes.sort("target").to_dicts():  # the target's on top
            place = places[row["level"], row["node"]]
            draw_box(ax, row, place, places.get((row["level"] - 1, row["parent"]), root))
        for who, color, _ in KEPT.values():
            ax.plot([], [], "s", mfc="none", color=color, markeredgewidth=2, label=f"kept by {who}")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(KEPT))
    return figure


def heights(nodes: pl.DataFrame) -> dict[tuple[int, int], float]:
    """(level, node) -> place from the top: what has nothing below it a row each, the others amid what they have."""
    children: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for level, node, parent in nodes.sort("level", "node").select("level", "node", "parent").rows():
        children.setdefault((level - 1, parent if level > 1 else 0), []).append((level, node))
    places: dict[tuple[int, int], float] = {}
    rows = count()

    def put(place: tuple[int, int]) -> float:
        below = [put(child) for child in children.pop(place, ())]
        places[place] = sum(below) / len(below) if below else float(next(rows))
        return places[place]

    put((0, 0))
    del places[0, 0]
    return places


def draw_box(ax: Axes, row: Mapping[str, Any], place: float, above: float) -> None:
    """Draw a prefix and the line to its parent."""
    _, color, _ = KEPT[row["plain"], row["guided"]]
    left, target = row["level"] - 1, row["target"]
    ends = [left - 1 + WIDE if left else -0.12, left], [above, place]
    ax.plot(*ends, color=drawing.BLACK if target else color, linewidth=2.4 if target else 1.2, zorder=1 + target)
    edge: Any = {"boxstyle": "round,pad=0,rounding_size=0.04", "fc": "white", "zorder": 3}
    box = (left, place - HIGH / 2), WIDE, HIGH
    if target:
        ax.add_patch(FancyBboxPatch(*box, ec=drawing.BLACK, linewidth=5, **edge))
    ax.add_patch(FancyBboxPatch(*box, ec=color, linewidth=2, linestyle="-" if row["guided"] else "--", **edge))
    number = "" if row["items"] == 1 else f" · {row['items']:,} items"
    likely = "not met" if row["log_prob"] is None else f"log p {row['log_prob']:.2f}"
    lines = (f"{row['prefix']}{number}", row["holds"], f"{likely} · reward {row['reward']:.2f}")
    text = "\n".join(line if len(line) <= LETTERS else f"{line[: LETTERS - 1]}…" for line in lines)
    ax.text(left + 0.03, place, text, va="center", fontsize=8, linespacing=1.15, zorder=4)
