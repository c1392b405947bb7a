"""Laws fitted to drawn users: true parameters come back, the held-out point stays out, weak curves get a reason."""

import time

import numpy as np
import pytest

from promise.analysis.equations import Law, refit, values_of
from promise.analysis.fit import Fit, HeldOut, NoFit, fit_all, fit_law, prefer
from promise.analysis.resampling import Estimate, resampled

X = np.array([20, 30, 40, 60, 100, 200, 400, 800], dtype=float)
TRUE = {
    Law.SATURATING_POWER: (0.30, 0.10, 1.0),
    Law.EXPONENTIATED_POWER: (0.30, 0.60, 0.8),
    Law.LOG_LINEAR: (0.20, 0.02, np.nan),
}


def users_of(shares: np.ndarray, users: int = 4000, seed: int = 0, shuffled: float = 0.1) -> np.ndarray:
    """(points, users) hits of users who are hit from their own level on; a part is drawn anew at every point."""
    rng = np.random.default_rng(seed)
    own, fresh = rng.random(users), rng.random((len(shares), users))
    return (np.where(rng.random(fresh.shape) < shuffled, fresh, own) < shares[:, None]).astype(float)


def drawn(law: Law, users: int = 4000, seed: int = 0) -> np.ndarray:
    return users_of(values_of(law, np.array([TRUE[law]]), X / X[0])[0], users, seed)


def fitted(x: np.ndarray, values: np.ndarray, law: Law, **more: int) -> Fit:
    found = fit_law(x, values, law, **more)
    assert isinstance(found, Fit), found
    return found


@pytest.mark.parametrize("law", Law)
def test_intervals_hold_the_true_parameters_about_as_often_as_they_say(law: Law) -> None:
    covered = []
    for seed in range(20):
        found = fitted(X, drawn(law, seed=seed), law, resamples=200)
        for name, truth in zip(found.parameters, TRUE[law], strict=False):
            covered.append(found.parameters[name].low <= truth <= found.parameters[name].high)
        covered.append(found.held_out[0].error.low <= 0 <= found.held_out[0].error.high)
    assert np.mean(covered) >= 0.85


@pytest.mark.parametrize("law", Law)
def test_the_largest_x_takes_no_part_in_the_fit(law: Law) -> None:
    values = drawn(law)
    found, other = fitted(X, values, law), values.copy()
    other[-1] = 1 - other[-1]
    again = fitted(X, other, law)
    for name, parameter in found.parameters.items():
        assert again.parameters[name].value == parameter.value
    assert again.held_out[0].predicted.value == found.held_out[0].predicted.value
    assert found.held_out[0].x == 800 and found.x == tuple(X[:-1])
    assert again.held_out[0].observed.value == pytest.approx(other[-1].mean())
    error = again.held_out[0].error
    assert error.value == pytest.approx(again.held_out[0].predicted.value - other[-1].mean())


def test_several_or_no_points_held_out() -> None:
    values = drawn(Law.LOG_LINEAR)
    assert [point.x for point in fitted(X, values, Law.LOG_LINEAR, held_out=3).held_out] == [200, 400, 800]
    none = fitted(X, values, Law.LOG_LINEAR, held_out=0)
    assert none.held_out == () and none.x == tuple(X)


def test_the_order_of_points_does_not_matter() -> None:
    values, order = drawn(Law.SATURATING_POWER), np.random.default_rng(0).permutation(len(X))
    assert fit_law(X[order], values[order], Law.SATURATING_POWER) == fit_law(X, values, Law.SATURATING_POWER)


def test_intervals_are_those_of_refits_to_the_resampled_curves() -> None:
    values = drawn(Law.SATURATING_POWER)
    found, curve = fitted(X, values, Law.SATURATING_POWER, resamples=300), resampled(X, values, 300)
    plain = np.array([refit(Law.SATURATING_POWER, X[:-1] / 20, draw[None, :-1])[0] for draw in curve.draws])
    for place, name in enumerate("abc"):
        low, high = np.quantile(plain[:, place], [0.025, 0.975])
        assert (found.parameters[name].low, found.parameters[name].high) == pytest.approx((low, high), rel=1e-6)
    assert found.failed == 0


def test_the_curve_and_its_band() -> None:
    found = fitted(X, drawn(Law.SATURATING_POWER), Law.SATURATING_POWER)
    at = found.at([20, 800])
    assert at[1] == found.held_out[0].predicted
    assert at[0].value == pytest.approx(found.parameters["a"].value - found.parameters["b"].value)
    assert all(each.low < each.value < each.high for each in at)


def test_a_thousand_refits_take_no_time() -> None:
    values = drawn(Law.SATURATING_POWER, users=20_000)
    start = time.process_time()
    fit_all(X, values, resamples=1000)
    assert time.process_time() - start < 5


def reason(values: np.ndarray, law: Law = Law.SATURATING_POWER, x: np.ndarray = X, **more: int) -> str:
    found = fit_law(x, values, law, **more)
    assert isinstance(found, NoFit), found
    return found.reason


def test_too_few_points_or_too_short_a_range() -> None:
    values = drawn(Law.LOG_LINEAR)
    few = "3 points to fit besides those held out; a law needs at least 4"
    assert reason(values[:4], x=X[:4]) == few
    assert isinstance(fit_law(X[:5], values[:5], Law.LOG_LINEAR), Fit)
    assert reason(values, held_out=12).startswith("0 points to fit")
    narrow = "the fitted x span a factor of 1.01; a law needs at least 2"
    assert reason(values, x=1e8 + np.arange(8) * 2e5) == narrow


@pytest.mark.parametrize("law", Law)
def test_flat_curves_are_explained_by_a_constant(law: Law) -> None:
    assert reason(users_of(np.full(8, 0.2)), law).startswith("a constant explains the points as well: ")
    assert reason(np.ones((8, 50)), law).startswith("a constant explains the points as well: ")


def test_falling_points_have_a_slope_but_no_law_that_rises() -> None:
    values = users_of(np.linspace(0.3, 0.2, 8))
    assert reason(values).startswith("the law only rises, the points fall: -0.0")
    assert fitted(X, values, Law.LOG_LINEAR).parameters["b"].high < 0


@pytest.mark.parametrize("law", [Law.SATURATING_POWER, Law.EXPONENTIATED_POWER])
def test_exponents_that_the_points_do_not_determine(law: Law) -> None:
    straight = users_of(0.2 + 0.02 * np.log(X / 20))
    step = users_of(np.r_[0.2, [0.3] * 7])
    start = "the exponent is not determined: its interval touches"
    assert reason(straight, law) == f"{start} 0.02 (a straight line in log x)"
    assert reason(step, law) == f"{start} 10 (only the first point below the ceiling)"


def test_values_without_a_logarithm() -> None:
    values = users_of(np.r_[0.0, np.linspace(0.1, 0.2, 7)])
    assert reason(values, Law.EXPONENTIATED_POWER) == (
        "the law could not be fitted to 100.0% of the resamples; at most 2.5% may fail"
    )


def test_all_laws_on_one_curve() -> None:
    values = drawn(Law.SATURATING_POWER, users=40_000)
    found = fit_all(X, values, resamples=300)
    assert [fit.law for fit in found.fits] == list(Law)
    assert found.fits[0] == fit_law(X, values, Law.SATURATING_POWER, resamples=300)
    line = found.fits[2]
    assert isinstance(line, Fit) and line.held_out[0].error.excludes_zero
    assert found.turning is None and found.held_out == 1
    assert found.preferred is not Law.LOG_LINEAR
    assert found.fitted[-1].law is Law.LOG_LINEAR


def test_a_peak_is_marked_and_no_law_is_preferred() -> None:
    found = fit_all(X, users_of(np.array([0.2, 0.25, 0.28, 0.3, 0.31, 0.3, 0.27, 0.22]), users=20_000))
    assert found.turning is not None and (found.turning.best, found.turning.x) == (100, 200)
    assert found.preferred is None and found.verdict.startswith("every fitted law misses the held-out points, ")


def made(law: Law, aicc: float | None, error: float, reach: float = 0.01, held_out: bool = True) -> Fit:
    zero = Estimate(0.1, 0.0, 0.2)
    later = (HeldOut(9.0, zero, zero, Estimate(error, error - reach, error + reach)),)
    return Fit(law, (1.0, 2.0, 3.0, 4.0), {}, later if held_out else (), 0.0, aicc, 0.0, np.empty((0, 3)))


POWER, EXPONENTIATED, LINE = Law


def test_which_law_is_preferred() -> None:
    none = NoFit(POWER, "flat")
    assert prefer((none,)) == (None, "no law could be fitted")
    assert prefer((none, made(LINE, 1, 0.0))) == (LINE, "the only law that could be fitted")
    assert prefer((made(POWER, 9, 0.0), made(LINE, 1, 0.02))) == (
        POWER, "the only law that the held-out points bear out",
    )  # fmt: skip
    assert prefer((made(POWER, 9, 0.03), made(LINE, 1, 0.02))) == (
        None, "every fitted law misses the held-out points, log-linear by the least (0.0200)",
    )  # fmt: skip
    assert prefer((made(POWER, 1, 0.005), made(LINE, 4, 0.0))) == (POWER, "AICc lower by 3.0 than that of log-linear")
    assert prefer((made(POWER, 1, 0.0), made(LINE, 2.5, 0.0))) == (
        None, "saturating power and log-linear are not told apart (AICc differs by 1.5)",
    )  # fmt: skip
    assert prefer((made(POWER, None, 0.005), made(LINE, 1, 0.004))) == (
        LINE, "by the held-out error alone: 4 points are too few for AICc",
    )  # fmt: skip
    assert prefer((made(POWER, None, 0, held_out=False), made(LINE, 1, 0, held_out=False))) == (
        None, "4 points are too few for AICc",
    )  # fmt: skip


def test_aicc_prefers_the_law_that_was_drawn() -> None:
    """In the same unit, although one law is fitted in log y."""
    rng = np.random.default_rng(0)
    x = np.geomspace(1, 1000, 30)
    truth = values_of(EXPONENTIATED, np.array([[0.5, 2.5, 0.5]]), x)[0] + rng.normal(0, 0.002, 30)
    found = {
        fit.law: fit for fit in fit_all(x, users_of(truth, users=60_000, shuffled=0.0)).fits if isinstance(fit, Fit)
    }
    scores = {law: fit.aicc for law, fit in found.items()}
    assert scores[EXPONENTIATED] is not None
    assert min(scores, key=lambda law: scores[law] or 0.0) is EXPONENTIATED
    assert fitted(X[:5], drawn(LINE)[:5], LINE).aicc is None


def test_error_held_out() -> None:
    with pytest.raises(ValueError, match=r"^held_out must be >= 0, got -1$"):
        fit_law(X, drawn(LINE), LINE, held_out=-1)
    with pytest.raises(ValueError, match=r"^held_out must be >= 0, got -1$"):
        fit_all(X, drawn(LINE), held_out=-1)
