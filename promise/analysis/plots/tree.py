"""The figure of one user's search as a tree: the prefixes of every level, who keeps them, where the target goes."""

from collections.abc import Mapping
from itertools import count
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from promise.analysis.plots import drawing
from promise.analysis.plots.trace import KEPT

COLUMNS = {
    "level", "node", "parent", "prefix", "items", "holds", "log_prob", "reward", "plain", "guided", "target",
}  # fmt: skip
NOTE = (
    "Each box: a prefix, the items below it and what they have in common (of one item its title), its log-probability "
    "(nats) and its reward. Dashed: cut by guided search. Thick: the way of the target."
)
#: Share of a level's width and of a row's height that a box takes, and the characters that fit into a line of it.
WIDE, HIGH, LETTERS = 0.84, 0.8, 38


def tree_figure(nodes: pl.DataFrame, title: str = "", note: str = "") -> Figure:
    """Draw a tree from left to right, a column for each level.

    Args:
        nodes: A row for each prefix to show: level (1..L), node and parent (numbers within a level and the one above),
            prefix, items below it and what it holds, log_prob (null = not met), reward, whether the plain and the
            guided search keep it, and whether it is the target's. The parents of all are among them.
        title: Whose search it is.
        note: What is said below the drawing, before how to read it.

    Raises:
        ValueError: If the table lacks a column or has no row.
    """
    missing = sorted(COLUMNS - set(nodes.columns))
    if missing or nodes.is_empty():
        raise ValueError(f"no table of a tree: it lacks {', '.join(missing) or 'rows'}")
    places = heights(nodes)
    levels, rows = max(level for level, _ in places), 1 + max(places.values())
    with drawing.page((3.4 * levels + 0.6, 0.62 * rows + 1.8), title, f"{note} {NOTE}".strip()) as figure:
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
    """(level, node) -> place from the top: what has nothing below it a row each, the others amid what they have.

    Raises:
        KeyError: If a parent is missing.
    """
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
    if children:
        raise KeyError(f"no parent: {min(children)}")
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
