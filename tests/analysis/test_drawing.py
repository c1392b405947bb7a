"""Looks, labels that keep apart, ticks that keep apart."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from promise.analysis.curves import curves
from promise.analysis.drawing import BLACK, GREY, PALE, PALETTE, log_axis, log_ticks, looks, plain_number, spread
from promise.analysis.figures import scaling_figure
from promise.analysis.results import results_table


def test_guided_searches_have_a_colour_each_and_the_rest_is_grey(sweep) -> None:
    chosen = looks(curves(results_table(sweep), "recall@10", "candidates"))
    assert chosen["guided, W = 10"].color == PALETTE[0]
    assert chosen["guided, W = 20"].color == PALETTE[1]
    assert (chosen["plain beam"].color, chosen["plain beam"].line) == (GREY, "--")
    assert chosen["exhaustive, λ = 0"].color == GREY
    assert chosen["exhaustive, λ = 1"].color == BLACK


def test_generators_have_a_colour_each(row) -> None:
    rows = [row(s, 0.05, 1e8, width=20, generator=g) for s in ("plain", "guided") for g in ("base", "tiny")]
    chosen = looks(curves(results_table(rows), "recall@10", "width"))
    assert chosen["base, plain beam"].color == chosen["base, guided"].color != chosen["tiny, guided"].color
    assert chosen["base, plain beam"].line != chosen["base, guided"].line


def test_other_rankers_take_no_colour_from_guided_searches(sweep, row) -> None:
    others = [row(name, 0.06, None) for name in ("popularity", "co_visit", "co_visit_text")]
    rows = results_table([*others, row("sasrec", 0.07, 4e6, generator=None, training=None), *sweep])
    chosen = looks(curves(rows, "recall@10", "candidates"))
    assert list(chosen)[:4] == ["popularity", "co-visit", "co-visit × text", "SASRec"]
    assert {chosen[name].color for name in ("popularity", "co-visit", "co-visit × text")} == {PALE}
    assert chosen["SASRec"].color == BLACK and chosen["guided, W = 10"].color == PALETTE[0]
    assert len(scaling_figure(rows).axes) == 2


@pytest.mark.parametrize("seed", range(20))
def test_spread_keeps_the_gap_and_the_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted, gap = rng.random(rng.integers(1, 12)).round(1), 0.08
    places = spread(wanted, gap)
    ordered = places[np.argsort(wanted, kind="stable")]
    assert (np.diff(ordered) >= gap - 1e-9).all()
    assert places.min() >= 0
    assert places.max() <= 1 + 1e-9
    if (np.diff(np.sort(wanted)) >= gap).all():
        np.testing.assert_allclose(places, wanted)


def test_spread_without_room_and_without_labels() -> None:
    assert (np.diff(spread([0.5] * 5, 0.5)) >= 0.5 - 1e-9).all()
    assert spread([], 0.1).shape == (0,)


def test_ticks() -> None:
    assert log_ticks(9, 5500, (10, 20, 1000, 1010, 5000)) == [10, 20, 1010, 5000]
    assert log_ticks(8, 120) == [10, 20, 50, 100]
    assert log_ticks(1, 1e9) == [10.0**place for place in range(10)]
    assert len(log_ticks(81, 99)) >= 2
    assert len(log_ticks(0.9, 1.5e14)) <= 10


@pytest.mark.parametrize("seed", range(10))
def test_tick_labels_do_not_touch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.unique(rng.integers(1, 10 ** rng.integers(1, 6), 15)).astype(float).tolist()
    figure = Figure(figsize=(12.5, 5))
    ax = figure.subplots(1, 2)[0]
    log_axis(ax, values, at_values=bool(seed % 2))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert not ax.xaxis.get_minorticklocs().size


def test_axis_of_one_value_and_of_none() -> None:
    ax = Figure().subplots()
    log_axis(ax, [20.0], at_values=True)
    assert ax.get_xticks().tolist() == [20.0]
    log_axis(ax, [], at_values=True)
    assert ax.get_xticks().tolist() == []


@pytest.mark.parametrize(("value", "text"), [(0.5, "0.5"), (20.0, "20"), (999.0, "999"), (12500.0, "12,500")])
def test_plain_number(value: float, text: str) -> None:
    assert plain_number(value) == text
