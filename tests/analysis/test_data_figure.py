"""What the figure of a data set draws."""

from pathlib import Path

import numpy as np
import pytest

from promise.analysis.data_figure import data_figure
from promise.analysis.figures import save_figure


def test_three_panels(tmp_path: Path) -> None:
    figure = data_figure([3, 4, 4, 101], [4, 0, 1, 9], [[2, 1, 7], [1] * 10], "A shop")
    left, middle, right = figure.axes
    heights = np.array([bar.get_height() for bar in left.patches])
    assert heights.sum() == 4 and heights.max() == 3  # bins of two lengths
    assert left.get_title("left") == "4 histories, median 4 items"
    (sold,) = middle.lines
    assert sold.get_xydata().tolist() == [[1, 9], [2, 4], [3, 1]] and middle.get_yscale() == "log"
    assert [line.get_ydata().tolist() for line in right.lines] == [[7, 2, 1], [1] * 10]
    legend = right.get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["level 1", "level 2"]
    assert figure.get_suptitle() == "A shop"
    assert all(path.stat().st_size > 1000 for path in save_figure(figure, tmp_path / "data"))


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match=r"^a data set needs users, items and levels, got 0, 1 and 0$"):
        data_figure([], [1], [])
