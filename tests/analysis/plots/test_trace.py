"""What the figure of one user's search draws."""

import polars as pl

from promise.analysis.plots.trace import trace_figure

COLUMNS = ("level", "log_prob", "reward", "plain", "guided", "target", "candidate")
ROWS = pl.DataFrame(
    [
        (1, -1.0, 0.5, True, False, False, True),
        (1, -2.0, 2.0, True, True, True, True),
        (1, -3.0, 1.5, False, True, False, True),
        (1, -4.0, -1.0, False, False, False, True),
        (2, -3.0, 4.0, False, True, True, True),
        (2, -2.5, 1.0, True, False, False, True),
    ],
    schema=COLUMNS,
    orient="row",
)


def test_marks_cuts_and_the_target() -> None:
    figure = trace_figure(ROWS, "User 3")
    first, second = figure.axes
    drawn = {str(line.get_label()): line.get_xydata().tolist() for line in first.lines}
    assert drawn["kept by the plain beam alone"] == [[-1.0, 0.5]] and drawn["kept by both"] == [[-2.0, 2.0]]
    assert drawn["kept by guided search alone"] == [[-3.0, 1.5]] and drawn["kept by neither"] == [[-4.0, -1.0]]
    assert drawn["target"] == [[-2.0, 2.0]]
    cuts = [line for line in first.lines if str(line.get_label()).startswith("_")]
    assert cuts[0].get_xdata()[0] == -2.0 and cuts[1].get_ydata()[0] == 1.5
    assert second.get_title("left") == "Level 2: target kept by guided search alone"


def test_a_level_without_beams_or_target() -> None:
    (ax,) = trace_figure(ROWS[3:4]).axes
    assert ax.get_title("left") == "Level 1" and len(ax.lines) == 1
