"""What the figures of scaling laws draw: points, curves, predictions, and which is preferred."""

from functools import cache

import numpy as np
import pytest

from promise.analysis.laws.fit import fit_all
from promise.analysis.plots.laws import LawPanel, law_figure
from tests.analysis.plots.artists import lines

X = np.array([20, 30, 40, 60, 100, 200, 400, 800], dtype=float)
SHAPES = {"saturating": 0.3 - 0.1 * (X / 20) ** -1.0, "straight": 0.2 + 0.02 * np.log(X / 20), "flat": np.full(8, 0.2)}


@cache
def panel(shape: str = "saturating", along: str = "candidates", scale: float = 1.0) -> LawPanel:
    rng = np.random.default_rng(0)
    own, fresh = rng.random(4000), rng.random((8, 4000))
    level = np.where(rng.random(fresh.shape) < 0.1, fresh, own)
    found = fit_all(X * scale, level < SHAPES[shape][:, None], resamples=40)
    return LawPanel("dot, W = 20", "recall@10", along, found)


def test_points_their_intervals_and_what_was_held_out() -> None:
    shown = panel()
    ax = law_figure([shown]).axes[0]
    drawn, curve = lines(ax), shown.comparison.curve
    np.testing.assert_array_equal(drawn["measured"], (X[:-1], curve.means[:-1]))
    np.testing.assert_array_equal(drawn["held out"], (X[-1:], curve.means[-1:]))
    assert ax.get_xscale() == "log"
    (bars,) = (bars for bars in ax.collections if len(bars.get_paths()) == len(X))
    ends = [path.vertices[:, 1] for path in bars.get_paths()]
    np.testing.assert_allclose(ends, [(each.low, each.high) for each in curve.points])


def test_curves_are_the_fits_solid_where_fitted_and_dashed_beyond() -> None:
    shown = panel()
    ax = law_figure([shown]).axes[0]
    for fit in shown.comparison.fitted:
        inside, beyond = (line for line in ax.lines if str(fit.law) in str(line.get_label()))
        assert (min(inside.get_xdata()), max(inside.get_xdata())) == pytest.approx((20, 400))
        assert (min(beyond.get_xdata()), max(beyond.get_xdata())) == pytest.approx((400, 800))
        np.testing.assert_allclose(inside.get_ydata(), [each.value for each in fit.at(inside.get_xdata())])
        assert (inside.get_linestyle(), beyond.get_linestyle()) == ("-", "--")


def test_the_band_is_that_of_the_law_shown_first() -> None:
    shown = panel("straight")
    (first,) = shown.comparison.fitted
    ax = law_figure([shown]).axes[0]
    (band,) = [area for area in ax.collections if len(area.get_paths()) == 1]
    heights, ends = band.get_paths()[0].vertices[:, 1], first.at([20, 800])
    assert (heights.min(), heights.max()) == pytest.approx((ends[0].low, ends[1].high))
    assert ax.get_legend().get_title().get_text() == "preferred: log-linear"


def test_over_compute_and_without_a_law() -> None:
    compute, flat = law_figure([panel(along="flops_per_user", scale=3e6), panel("flat")], "beauty").axes
    np.testing.assert_allclose(lines(compute)["measured"][0], X[:-1] * 3e6)
    assert (
        set(lines(flat)) == {"measured", "held out"} and flat.get_legend().get_title().get_text() == "preferred: none"
    )
