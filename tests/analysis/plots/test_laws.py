"""What the figures of scaling laws draw: points, curves, predictions, the turning point, and the numbers below."""

import numpy as np
import pytest

from promise.analysis.laws.fit import Comparison, LawFit, fit_all
from promise.analysis.plots.laws import LawPanel, law_figure
from tests.analysis.plots.artists import lines

X = np.array([20, 30, 40, 60, 100, 200, 400, 800], dtype=float)
SHAPES = {
    "saturating": 0.3 - 0.1 * (X / 20) ** -1.0,
    "straight": 0.2 + 0.02 * np.log(X / 20),
    "peaked": np.array([0.2, 0.25, 0.28, 0.3, 0.31, 0.3, 0.27, 0.22]),
    "flat": np.full(8, 0.2),
}


def compared(shape: str, points: int = 8, scale: float = 1.0) -> Comparison:
    rng = np.random.default_rng(0)
    own, fresh = rng.random(4000), rng.random((points, 4000))
    level = np.where(rng.random(fresh.shape) < 0.1, fresh, own)
    return fit_all(X[:points] * scale, level < SHAPES[shape][:points, None], resamples=200)


def panel(shape: str = "saturating", along: str = "candidates", **more: float) -> LawPanel:
    return LawPanel("dot, W = 20", "recall@10", along, compared(shape, **more))


def test_points_and_what_was_held_out() -> None:
    shown = panel()
    ax = law_figure([shown]).axes[0]
    drawn, curve = lines(ax), shown.comparison.curve
    np.testing.assert_array_equal(drawn["measured"], (X[:-1], curve.means[:-1]))
    np.testing.assert_array_equal(drawn["held out"], (X[-1:], curve.means[-1:]))
    assert ax.get_xscale() == "log"


def test_bars_are_the_intervals_alone_and_without_what_is_shared() -> None:
    shown = panel()
    ax = law_figure([shown]).axes[0]
    thin, thick = (bars for bars in ax.collections if len(bars.get_paths()) == len(X))
    for bars, estimates in ((thin, shown.comparison.curve.points), (thick, shown.comparison.curve.steps)):
        ends = [path.vertices[:, 1] for path in bars.get_paths()]
        np.testing.assert_allclose(ends, [(each.low, each.high) for each in estimates])


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
    (band,) = [area for area in law_figure([shown]).axes[0].collections if len(area.get_paths()) == 1]
    heights, ends = band.get_paths()[0].vertices[:, 1], first.at([20, 800])
    assert (heights.min(), heights.max()) == pytest.approx((ends[0].low, ends[1].high))


def test_the_numbers_stand_below() -> None:
    shown = panel("straight")
    text = law_figure([shown]).axes[0].get_xlabel()
    fit = shown.comparison.fits[-1]
    assert isinstance(fit, LawFit)
    assert f"{fit.law.form}: a = {fit.parameters['a'].text()}, b = {fit.parameters['b'].text()}" in text
    assert f"predicted {fit.held_out.predicted.text()}, held out {fit.held_out.observed.text()}, error" in text
    assert "saturating power: not fitted" in text and "Preferred: log-linear" in text


def test_the_turning_point_is_marked_and_only_where_there_is_one() -> None:
    turned, not_turned = law_figure([panel("peaked"), panel()]).axes
    assert lines(turned)["best at 100; from 400 on, more hurts"][0] == [100, 100]
    assert not [name for name in lines(not_turned) if "best at" in name]


def test_over_compute_and_without_a_law() -> None:
    compute, flat = law_figure([panel(along="flops_per_user", scale=3e6), panel("flat")], "beauty").axes
    np.testing.assert_allclose(lines(compute)["measured"][0], X[:-1] * 3e6)
    assert set(lines(flat)) == {"measured", "held out"} and "Preferred: none" in flat.get_xlabel()


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"^panels must hold at least one curve, got none$"):
        law_figure([])
