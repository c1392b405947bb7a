"""What the figures of scaling laws draw: points, curves, predictions, the turning point, and the numbers below."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.figures import save_figure
from promise.analysis.law_figure import LawPanel, LevelCurve, law_figure, level_figure, pretty, wilson
from promise.analysis.laws.fit import Comparison, LawFit, fit_all
from promise.analysis.laws.forms import Law

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


def lines(ax: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        str(line.get_label()): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
        for line in ax.lines
        if not str(line.get_label()).startswith("_")
    }


def caption(figure: Figure) -> str:
    return figure.axes[1].texts[0].get_text()


def test_points_and_what_was_held_out() -> None:
    shown = panel()
    ax = law_figure([shown]).axes[0]
    drawn, curve = lines(ax), shown.comparison.curve
    np.testing.assert_array_equal(drawn["measured"], (X[:-1], curve.means[:-1]))
    np.testing.assert_array_equal(drawn["held out"], (X[-1:], curve.means[-1:]))
    hollow = {str(line.get_label()): line.get_markerfacecolor() for line in ax.lines}
    assert (hollow["measured"], hollow["held out"]) == ("#000000", "white")
    assert ax.get_xscale() == "log" and ax.get_xlabel() == "Candidates C scored per level (paths, log scale)"
    assert ax.get_ylabel() == "Recall@10 (share of users)"


def test_bars_are_the_intervals_alone_and_without_what_is_shared() -> None:
    shown = panel()
    ax = law_figure([shown]).axes[0]
    thin, thick = (bars for bars in ax.collections if len(bars.get_paths()) == len(X))
    for bars, estimates in ((thin, shown.comparison.curve.points), (thick, shown.comparison.curve.steps)):
        ends = [path.vertices[:, 1] for path in bars.get_paths()]
        np.testing.assert_allclose(ends, [(each.low, each.high) for each in estimates])
    assert thin.get_linewidth()[0] < thick.get_linewidth()[0]


def test_curves_are_solid_where_fitted_and_dashed_beyond() -> None:
    shown = panel()
    ax = law_figure([shown]).axes[0]
    style = {str(line.get_label()): line.get_linestyle() for line in ax.lines}
    for fit in shown.comparison.fitted:
        inside, beyond = lines(ax)[str(fit.law)], lines(ax)[f"{fit.law}, beyond"]
        assert (inside[0].min(), inside[0].max()) == pytest.approx((20, 400))
        assert (beyond[0].min(), beyond[0].max()) == pytest.approx((400, 800))
        np.testing.assert_allclose(inside[1], [each.value for each in fit.at(inside[0])])
        assert (style[str(fit.law)], style[f"{fit.law}, beyond"]) == ("-", "--")
        assert str(fit.law) in [text.get_text() for text in ax.texts]


def test_the_band_is_that_of_the_law_shown_first() -> None:
    shown = panel("straight")
    (first,) = shown.comparison.fitted
    (band,) = [area for area in law_figure([shown]).axes[0].collections if len(area.get_paths()) == 1]
    vertices = band.get_paths()[0].vertices
    ends = first.at([20, 800])
    assert vertices[:, 1].min() == pytest.approx(ends[0].low)
    assert vertices[:, 1].max() == pytest.approx(ends[1].high)


def test_the_numbers_stand_below() -> None:
    shown = panel("straight")
    text = caption(law_figure([shown]))
    fit = shown.comparison.fits[-1]
    assert isinstance(fit, LawFit)
    assert f"log-linear, y = a + b·ln(x/x₀): a = {fit.parameters['a'].text()}, b = {fit.parameters['b'].text()}" in text
    point = fit.held_out[0]
    assert f"predicted {point.predicted.text()}, held out {point.observed.text()}, error" in text
    assert "saturating power: not fitted; the exponent is not determined" in text
    assert text.endswith("Preferred: log-linear (the only law that could be fitted).")


def test_no_law_fitted() -> None:
    figure = law_figure([panel("flat")])
    assert set(lines(figure.axes[0])) == {"measured", "held out"}
    assert caption(figure).endswith("Preferred: none (no law could be fitted).")


def test_the_turning_point_is_marked_and_only_where_there_is_one() -> None:
    turned, not_turned = law_figure([panel("peaked"), panel()]).axes[:2]
    words = "best at 100; from 400 on, more hurts"
    assert words in [text.get_text() for text in turned.texts]
    assert not [text for text in not_turned.texts if "best at" in text.get_text()]
    assert 100.0 in [np.asarray(line.get_xdata())[0] for line in turned.lines if line.get_linestyle() == ":"]


def test_compute_has_a_unit() -> None:
    ax = law_figure([panel(along="flops_per_user", scale=3e6)]).axes[0]
    assert ax.get_xlabel() == "MFLOP per user (log scale)"
    np.testing.assert_allclose(lines(ax)["measured"][0], X[:-1] * 3)


def test_several_panels_do_not_touch() -> None:
    figure = law_figure([panel(shape) for shape in ("saturating", "peaked", "flat")], "beauty · test split")
    figure.draw_without_rendering()
    assert figure.get_suptitle() == "beauty · test split"
    assert [ax.axison for ax in figure.axes] == [True, True, False, False, True, False, False, False]
    boxes = [ax.get_tightbbox() for ax in figure.axes if ax.axison]
    boxes += [ax.texts[0].get_window_extent() for ax in figure.axes if not ax.axison and ax.texts]
    for one, other in itertools.combinations(boxes, 2):
        assert one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0


def test_saving_twice_gives_the_same_file(tmp_path: Path) -> None:
    files = [save_figure(law_figure([panel()]), tmp_path / name)[0].read_bytes() for name in "ab"]
    assert files[0] == files[1]


LEVELS = LevelCurve("dot", (20.0, 40.0, 80.0), ((0.9, 0.5), (0.92, 0.55), (0.93, 0.57)), 1000)


def test_levels_are_panels() -> None:
    other = LevelCurve("cross_attention", (20.0, 80.0), ((0.9,), (0.95,)), 1000)
    figure = level_figure([LEVELS, other], "beauty")
    assert [ax.get_title("left") for ax in figure.axes] == ["Level 1", "Level 2"]
    first = {container.get_label(): container for container in figure.axes[0].containers}
    np.testing.assert_allclose(first["dot"].lines[0].get_ydata().astype(float), [0.9, 0.92, 0.93])
    np.testing.assert_allclose(first["cross_attention"].lines[0].get_xdata().astype(float), [20, 80])
    assert [container.get_label() for container in figure.axes[1].containers] == ["dot"]
    assert "dot" in [text.get_text() for text in figure.axes[0].texts]
    assert not level_figure([LEVELS]).axes[0].texts  # one curve needs no name


def test_wilson_intervals() -> None:
    """Against the values in Brown, Cai and DasGupta's formula, worked by hand for 8 of 10."""
    low, high = wilson(np.array([0.8, 0.0, 1.0]), 10)
    assert (low[0], high[0]) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert low[1] == 0 and high[2] == 1


def test_equations_as_shown() -> None:
    assert [pretty(law) for law in Law] == [
        "y = a − b·(x/x₀)⁻ᶜ", "y = a·exp(−b·(x/x₀)⁻ᶜ)", "y = a + b·ln(x/x₀)",
    ]  # fmt: skip


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"^panels must hold at least one curve, got none$"):
        law_figure([])
    with pytest.raises(ValueError, match=r"^curves must hold at least one curve, got none$"):
        level_figure([])
