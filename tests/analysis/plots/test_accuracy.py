"""What the figures of accuracy draw: the data, the names, the units; and that odd tables draw without a warning."""

import pytest

from promise.analysis.plots.accuracy import candidates_figure, frontier_figure, weight_figure
from promise.analysis.plots.gallery import FIGURES, supported
from promise.analysis.results import results_table
from tests.analysis.plots.artists import lines, texts


def test_candidates_and_compute(sweep) -> None:
    figure = candidates_figure(results_table(sweep))
    left, right = figure.axes
    drawn = lines(left)
    assert drawn["guided, W = 20"] == ([20, 40, 80, 200], pytest.approx([0.061, 0.062, 0.064, 0.07]))
    assert drawn["plain beam"][0] == [10, 20, 50]
    assert drawn["exhaustive, λ = 1"][1] == [0.0721, 0.0721]  # horizontal
    band = left.collections[-1].get_paths()[0].vertices  # the last line with a band: guided, W = 20
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0.061 - 0.003, 0.07 + 0.003))
    drawn = lines(right)
    assert drawn["plain beam"] == (pytest.approx([5.2e7, 8.8e7, 1.96e8]), pytest.approx([0.0501, 0.0502, 0.0505]))
    assert drawn["exhaustive, λ = 1"] == ([1.1e7], [0.0721])
    assert drawn["frontier"][0][0] == 1.1e7 and set(drawn["frontier"][1]) == {0.0721}  # cheapest and best


def test_weight_figure(row) -> None:
    rows = [row("guided", 0.05 + x / 100, 1e8, width=20, candidates=80, weight=x) for x in (0.0, 0.5, 1.0)]
    (ax,) = weight_figure(results_table([*rows, row("plain", 0.05, 1e8, width=20)])).axes
    assert lines(ax)["guided, W = 20"] == ([0.0, 0.5, 1.0], pytest.approx([0.05, 0.055, 0.06]))
    assert lines(ax)["plain beam, W = 20"][1] == [0.05, 0.05]


def test_frontier_figure(row) -> None:
    rows = [
        row("plain", 0.04 + w / 1e4, f * w, width=w, generator=g)
        for g, f in (("tiny", 1e8), ("base", 1e9)) for w in (10, 20)
    ]  # fmt: skip
    (ax,) = frontier_figure(results_table(rows)).axes
    assert lines(ax)["tiny, plain beam"] == (pytest.approx([1e9, 2e9]), pytest.approx([0.041, 0.042]))
    assert lines(ax)["base, plain beam"][0] == pytest.approx([1e10, 2e10])


def test_trials_of_a_study_are_dots_under_one_name(row) -> None:
    rows = [
        row("guided", 0.05 + i / 1e3, (20 + i) * 1e6, width=10 + i, candidates=40 + 7 * i, weight=i / 20) | {"trial": i}
        for i in range(1, 15)
    ]
    rows += [row("plain", 0.04 + i / 1e3, (15 + i) * 1e6, width=9 + i, candidates=9 + i) for i in range(12)]
    (ax,) = frontier_figure(results_table(rows)).axes
    (dots,) = [line for line in ax.lines if line.get_label() == "guided, dials vary"]
    assert (dots.get_linestyle(), len(dots.get_xdata())) == ("None", 14)
    drawn = lines(weight_figure(results_table(rows)).axes[0])
    assert "guided, dials vary" in drawn


ODD = {
    "nothing": lambda sweep, row: [],
    "one point": lambda sweep, row: sweep[:1],
    "only baselines": lambda sweep, row: [row("popularity", 0.01, None), row("co_visit", 0.06, None)],
    "per level": lambda sweep, row: [row("guided", 0.06, 1e8, width=[50, 20], candidates=[50, 80]), *sweep],
    "no flops": lambda sweep, row: [dict(each, flops_per_user=None) for each in sweep],
    "no intervals": lambda sweep, row: [dict(each, **{"recall@10_low": None}) for each in sweep],
    "odd names": lambda sweep, row: [dict(each, data="a_$b$_{", generator="n_$") for each in sweep],
    "new search": lambda sweep, row: [*sweep, row("best_of_n", 0.055, 3e8)],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_tables_draw_without_a_warning(name: str, sweep, row) -> None:
    rows = results_table(ODD[name](sweep, row))
    for each in supported(rows):
        FIGURES[each][1](rows, "recall@10").draw_without_rendering()


def test_empty_figure_says_why(row) -> None:
    figure = candidates_figure(results_table([row("plain", None, 1e8, width=5)]))
    assert texts(figure.axes[0]) == ["no finished point has recall@10"]
