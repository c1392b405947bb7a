"""What the figure of a data set draws."""

import numpy as np

from promise.analysis.plots.dataset import dataset_figure


def test_three_panels() -> None:
    figure = dataset_figure([3, 4, 4, 101], [4, 0, 1, 9], [[2, 1, 7], [1] * 10], "A shop")
    left, middle, right = figure.axes
    heights = np.array([bar.get_height() for bar in left.patches])
    assert heights.sum() == 4 and heights.max() == 3  # bins of two lengths
    assert left.get_title("left") == "4 histories, median 4 items"
    (sold,) = middle.lines
    assert sold.get_xydata().tolist() == [[1, 9], [2, 4], [3, 1]] and middle.get_yscale() == "log"
    assert [line.get_ydata().tolist() for line in right.lines] == [[7, 2, 1], [1] * 10]
