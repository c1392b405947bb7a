"""Reads the data back from the artists of a figure."""

import numpy as np
from matplotlib.axes import Axes


def lines(ax: Axes) -> dict[str, tuple[list[float], list[float]]]:
    """The named lines of a panel as (xs, ys)."""
    return {
        str(line.get_label()): (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for line in ax.lines
        if not str(line.get_label()).startswith("_")
    }


def texts(ax: Axes) -> list[str]:
    """What is written into a panel."""
    return [text.get_text() for text in ax.texts]
