"""Size against search: grids, the surface that lines of equal accuracy are drawn on, names and numbers."""

import math

import numpy as np
import pytest

from promise.analysis.plots.sizes import size_figure, size_grids
from promise.analysis.results import results_table


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
    grids = size_grids(results_table(sizes))
    assert list(grids) == ["plain beam", "guided, W = 20"]
    guided = grids["guided, W = 20"]
    assert guided.unique("generator", maintain_order=True).select("generator", "parameters").rows() == [
        ("tiny", 6.3e5), ("small", 3.4e6), ("base", 16e6),
    ]  # fmt: skip
    assert guided["budget"][:3].to_list() == [20, 40, 80]
    assert guided["value"][:3].to_list() == pytest.approx(
        [0.05 + math.log(6.3e5) / 1000 + 0.01 + c / 1e4 for c in (20, 40, 80)]
    )
    odd = dict(sizes[2], **{"search.candidates": 77})  # a budget that one generator has
    assert size_grids(results_table([*sizes, odd]))["guided, W = 20"].equals(guided)


def test_seeds_are_averaged(sizes) -> None:
    rows = [each | {"seed": seed, "recall@10": each["recall@10"] + seed / 10} for each in sizes for seed in (0, 1)]
    guided = size_grids(results_table(rows))["guided, W = 20"]
    assert guided["value"][0] == pytest.approx(0.05 + math.log(6.3e5) / 1000 + 0.012 + 0.05)


def test_without_parameters_cost_orders_the_sizes(sizes) -> None:
    grids = size_grids(results_table([each | {"parameters": None} for each in sizes]))
    assert grids["guided, W = 20"]["generator"].unique(maintain_order=True).to_list() == ["tiny", "small", "base"]
    size_figure(results_table([each | {"parameters": None, "flops_per_user": None} for each in sizes]))


def test_figure(sizes) -> None:
    figure = size_figure(results_table(sizes))
    left, right = figure.axes[:2]
    grids = size_grids(results_table(sizes))
    for ax, grid, shape in zip((left, right), grids.values(), ((3, 2), (3, 3)), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), grid["value"].to_numpy().reshape(shape))
    size_figure(results_table([each | {"recall@10": 0.05} for each in sizes])).draw_without_rendering()


def test_error(sweep) -> None:
    with pytest.raises(ValueError, match=r"^two generators must share two values of C"):
        size_figure(results_table(sweep))
