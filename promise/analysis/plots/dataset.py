"""The figure of a data set and its semantic IDs: lengths of histories, sales of items, items below prefixes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import ArrayLike

from promise.analysis.plots import drawing


def dataset_figure(lengths: ArrayLike, sales: ArrayLike, prefixes: Sequence[ArrayLike], title: str = "") -> Figure:
    """Draw how uneven a data set is, and how evenly its IDs divide the items.

    Args:
        lengths: (users,) items of each history.
        sales: (items,) how often each item occurs; items that never do are left out.
        prefixes: For each level (n,) the items below each of its prefixes.
        title: Which data.

    Returns:
        A figure of three panels.
    """
    histories, sold = np.asarray(lengths), np.asarray(sales)
    with drawing.page((13.0, 4.2), title, "") as figure:
        left, middle, right = figure.subplots(1, 3)
        longest = int(histories.max())
        step = max(1, longest // 40)
        left.hist(histories, bins=np.arange(0.5, longest + 0.5 + step, step), color=drawing.BLUE)
        left.set(title=f"{len(histories):,} histories, median {np.median(histories):g} items")
        left.set(xlabel="items of a history", ylabel="users")
        middle.set(title=f"{len(sold):,} items", xlabel="place of the item by occurrences (log scale)")
        middle.set(ylabel="occurrences (log scale)")
        draw_ranked(middle, sold, drawing.PALETTE[0], "_items")
        right.set(title="Items below a prefix, level by level", xlabel="place of the prefix by items (log scale)")
        right.set(ylabel="items (log scale)")
        for place, counts in enumerate(prefixes):
            draw_ranked(right, np.asarray(counts), drawing.PALETTE[place % len(drawing.PALETTE)], f"level {place + 1}")
        right.legend()
    return figure


def draw_ranked(ax: Axes, counts: np.ndarray, color: str, name: str) -> None:
    """Draw counts (n,) from the largest to the smallest, both axes logarithmic."""
    line = np.sort(counts[counts > 0])[::-1]
    ax.loglog(np.arange(1, len(line) + 1), line, color=color, linewidth=1.8, label=name)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.set_minor_formatter("")
