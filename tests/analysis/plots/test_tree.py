"""What the figure of a search tree draws, and where."""

import polars as pl

from promise.analysis.plots.trace import heights, tree_figure

NAMES = ("level", "node", "parent", "prefix", "items", "holds", "log_prob", "reward", "plain", "guided", "target")
NODES = pl.DataFrame(
    [
        (1, 5, 0, "5", 1200, "Lamp 90 %", -0.5, 1.0, True, True, True),
        (1, 9, 0, "9", 3, "Mug 100 %", -2.0, -1.0, True, False, False),
        (2, 2, 5, "5-1", 1, "A lamp with a title that is far too long for a box", -1.0, 3.0, True, False, False),
        (2, 7, 5, "5-4", 1, "The $5 lamp", None, 2.0, False, True, True),
    ],
    schema=NAMES,
    orient="row",
)


def test_what_has_nothing_below_it_has_a_row() -> None:
    assert heights(NODES) == {(2, 2): 0, (2, 7): 1, (1, 5): 0.5, (1, 9): 2}


def test_boxes_lines_and_texts() -> None:
    figure = tree_figure(NODES, "User 3", "Picked.")
    (ax,) = figure.axes
    texts = [text.get_text() for text in ax.texts]
    assert texts[:3] == ["user", "Level 1", "Level 2"]
    assert "5 · 1,200 items\nLamp 90 %\nlog p -0.50 · reward 1.00" in texts
    assert "5-4\nThe $5 lamp\nnot met · reward 2.00" in texts
    assert "5-1\nA lamp with a title that is far too l…\nlog p -1.00 · reward 3.00" in texts
    assert len(ax.patches) == 4 + 2  # the target's are framed
    assert [patch.get_linestyle() for patch in ax.patches if patch.get_linewidth() == 2].count("--") == 2
    thick = [line for line in ax.lines if line.get_linewidth() == 2.4]
    assert [list(line.get_ydata()) for line in thick] == [[1, 0.5], [0.5, 1]]
    assert str(figure.get_supxlabel()).startswith("Picked. Each box: a prefix")
