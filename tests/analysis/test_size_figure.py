"""Size against search: grids, the surface that lines of equal accuracy are drawn on, names and numbers."""

import math

import numpy as np
import pytest

from promise.analysis.results import results_table
from promise.analysis.size_figure import size_figure, size_grids


@pytest.fixture
def sizes(row) -> list[dict]:
    """Three generators; plain at W = 10, 20; guided at W = 20 with three C, and one point of another width."""
    rows = []
    for place, (name, parameters) in enumerate({"base": 16e6, "tiny": 6.3e5, "small": 3.4e6}.items()):
        more = {"parameters": parameters, "generator": name}
        value = 0.05 + math.log(parameters) / 1000
        rows += [row("plain", value + w / 1e5, parameters * w, width=w, candidates=w) | more for w in (10, 20)]
        rows += [
            row("guided", value + 0.01 + c / 1e4, parameters * 21, width=20, candidates=c, weight=1.0) | more
            for c in (20, 40, 80)
        ]
        rows.append(row("guided", value, 1e6, width=5, candidates=10 + place, weight=1.0) | more)
    return rows


def test_grids(sizes) -> None:
    plain, guided = size_grids(results_table(sizes))
    assert (plain.name, guided.name) == ("plain beam", "guided, W = 20")
    assert guided.generators == ("tiny", "small", "base")
    assert guided.parameters == (6.3e5, 3.4e6, 16e6)
    budgets, values = guided.surface()
    assert budgets == [20, 40, 80]
    assert values[0] == pytest.approx(0.05 + math.log(6.3e5) / 1000 + 0.01 + np.array([20, 40, 80]) / 1e4)


def test_seeds_are_averaged(sizes) -> None:
    rows = [each | {"seed": seed, "recall@10": each["recall@10"] + seed / 10} for each in sizes for seed in (0, 1)]
    _, guided = size_grids(results_table(rows))
    assert guided.surface()[1][0, 0] == pytest.approx(0.05 + math.log(6.3e5) / 1000 + 0.012 + 0.05)


def test_without_parameters_cost_orders_the_sizes(sizes) -> None:
    _, guided = size_grids(results_table([each | {"parameters": None} for each in sizes]))
    assert guided.generators == ("tiny", "small", "base")
    size_figure(results_table([each | {"parameters": None, "flops_per_user": None} for each in sizes]))


def test_figure(sizes) -> None:
    figure = size_figure(results_table(sizes))
    left, right = figure.axes
    assert left.get_xlabel() == "beams W (log scale)"
    assert right.get_xlabel() == "candidates C per level (paths, log scale)"
    assert [label.get_text() for label in right.get_xticklabels()] == ["20", "40", "80"]
    assert [label.get_text() for label in right.get_yticklabels()] == [
        "tiny\n630 k parameters", "small\n3.4 M parameters", "base\n16 M parameters"
    ]  # fmt: skip
    texts = {text.get_text() for text in right.texts}
    assert {"13.2 MFLOP", "71.4 MFLOP", "336 MFLOP"} <= texts
    assert any(line.startswith("Above a point: Recall@10") for line in figure.get_supxlabel().splitlines())
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [text.get_window_extent() for ax in figure.axes for text in ax.texts]
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)


def test_equal_accuracies_have_no_lines(sizes) -> None:
    figure = size_figure(results_table([each | {"recall@10": 0.05} for each in sizes]))
    assert len(figure.axes) == 2


def test_error(sweep) -> None:
    with pytest.raises(ValueError, match=r"^two generators must share two values of C"):
        size_figure(results_table(sweep))
