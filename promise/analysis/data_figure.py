"""The figure of a data set and its semantic IDs: lengths of histories, sales of items, items below prefixes."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from promise.analysis.drawing import PALETTE
from promise.analysis.figures import STYLE


def data_figure(lengths: ArrayLike, sales: ArrayLike, prefixes: Sequence[ArrayLike], title: str = "") -> Figure:
    """Draw how uneven a data set is, and how evenly its IDs divide the items.

    Args:
        lengths: (users,) items of each history.
        sales: (items,) how often each item occurs; items that never do are left out.
        prefixes: For each level (n,) the items below each of its prefixes.
        title: Which data.

    Returns:
        A figure of three panels.

    Raises:
        ValueError: If there is no user, no item or no level.
    """
    histories, sold = np.asarray(lengths), np.asarray(sales)
    if not len(histories) or not len(sold) or not len(prefixes):
        raise ValueError(
            f"a data set needs users, items and levels, got {len(histories)}, {len(sold)} and {len(prefixes)}"
        )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(13.0, 4.2), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        longest = int(histories.max())
        step = max(1, longest // 40)
        left.hist(histories, bins=np.arange(0.5, longest + 0.5 + step, step), color=PALETTE[0])
        left.set_title(f"{len(histories):,} histories, median {np.median(histories):g} items", loc="left")
        left.set_xlabel("items of a history")
        left.set_ylabel("users")
        middle.set_title(f"{len(sold):,} items", loc="left")
        middle.set_xlabel("place of the item by occurrences (log scale)")
        middle.set_ylabel("occurrences (log scale)")
        ranked(middle, [sold])
        right.set_title("Items below a prefix, level by level", loc="left")
        right.set_xlabel("place of the prefix by items (log scale)")
        right.set_ylabel("items (log scale)")
        ranked(right, [np.asarray(each) for each in prefixes], "level {}")
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure


def ranked(ax: Axes, counts: Sequence[np.ndarray], name: str = "") -> None:
    """Draw counts (n,) from the largest to the smallest, a line for each; `name` takes the line's number."""
    lines = [np.sort(each[each > 0])[::-1] for each in counts]
    for place, line in enumerate(lines):
        color = PALETTE[place % len(PALETTE)]
        ax.plot(np.arange(1, len(line) + 1), line, color=color, linewidth=1.8, label=name.format(place + 1))
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
        axis.set_minor_formatter(lambda value, _: "")
    if name:
        ax.legend(frameon=False)  # all lines end at one item: there is no room for names beside them
