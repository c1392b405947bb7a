"""Series with their intervals, the frontier, axes, files."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from promise.analysis.plots import drawing
from tests.analysis.plots.artists import lines


def panel():
    return Figure().subplots()


def test_a_series_with_a_band_or_bars() -> None:
    ax = panel()
    ends = [0.1, np.nan, 0.3], [0.3, np.nan, 0.5]
    drawing.series(ax, [1, 2, 3], [0.2, 0.3, 0.4], ends, "band", drawing.Look("red"), band=True)
    drawing.series(ax, [1, 2, 3], [0.2, 0.3, 0.4], ends, "bars", drawing.Look("red"))
    assert lines(ax)["band"] == lines(ax)["bars"] == ([1, 2, 3], [0.2, 0.3, 0.4])
    band, bars = ax.collections
    assert sorted({*band.get_paths()[0].vertices[:, 1].tolist()}) == pytest.approx([0.1, 0.3, 0.5])
    assert [path.vertices[:, 1].tolist() for path in bars.get_paths()] == [
        pytest.approx([0.1, 0.3]), pytest.approx([0.3, 0.3]), pytest.approx([0.3, 0.5]),
    ]  # fmt: skip


def test_the_frontier_and_its_knee_where_three_points_can_bend() -> None:
    ax = panel()
    drawing.frontier(ax, [10, 20, 40, 80, 90], [0.01, 0.05, 0.055, 0.056, 0.02])
    drawn = lines(ax)
    assert drawn["frontier"] == ([10, 20, 40, 80, 90], [0.01, 0.05, 0.055, 0.056, 0.056])
    assert drawn["knee of the frontier"] == ([20], [0.05])
    ax = panel()
    drawing.frontier(ax, [10, 20], [0.01, 0.05])
    drawing.frontier(ax, [], [])
    assert set(lines(ax)) == {"frontier"}


@pytest.mark.parametrize(
    ("values", "unit", "words"),
    [
        ([10, 20, 1000, 2000], None, ["10", "20", "50", "1,000", "2,000"]),
        ([], None, None),
        ([0.004, 0.4], "s", ["5 ms", "10 ms", "20 ms", "50 ms", "100 ms", "200 ms"]),
    ],
)
def test_ticks(values: list[float], unit: str | None, words: list[str] | None) -> None:
    ax = panel()
    ax.plot(values, values)
    drawing.log_axis(ax, values, unit)
    ax.figure.draw_without_rendering()
    low, high = ax.get_xlim()
    shown = [label.get_text() for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert words is None or set(words) <= set(shown)
    assert not ax.xaxis.get_minorticklocs().size


def test_the_same_figure_gives_the_same_file(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        with drawing.page((4, 3), "data $_{ & <more>", "A note. " * 20) as figure:
            figure.subplots().plot([1, 2], label="x")
        files.append(drawing.save_figure(figure, tmp_path / "new" / f"{name}.v1"))
    assert [path.name for path in files[0]] == ["a.v1.svg", "a.v1.png"]
    assert files[0][1].read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(files[0][0]).getroot().tag.endswith("svg")
    assert files[0][0].read_bytes() == files[1][0].read_bytes()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x"]
