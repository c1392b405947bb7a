"""Laws fitted to drawn users: true parameters come back, the held-out point stays out, weak curves get a reason."""

import numpy as np
import pytest

from promise.analysis.laws.bootstrap import Estimate, resampled
from promise.analysis.laws.fit import LawFit, NoFit, fit_all, fit_law, prefer
from promise.analysis.laws.forms import Law, fit_parameters, law_values

X = np.array([20, 30, 40, 60, 100, 200, 400, 800], dtype=float)
TRUE = {
    Law.SATURATING_POWER: (0.30, 0.10, 1.0),
    Law.EXPONENTIATED_POWER: (0.30, 0.60, 0.8),
    Law.LOG_LINEAR: (0.20, 0.02),
}
POWER, EXPONENTIATED, LINE = Law


def users_of(shares: np.ndarray, users: int = 4000, seed: int = 0, shuffled: float = 0.1) -> np.ndarray:
    """(points, users) hits of users who are hit from their own level on; a part is drawn anew at every point."""
    rng = np.random.default_rng(seed)
    own, fresh = rng.random(users), rng.random((len(shares), users))
    return (np.where(rng.random(fresh.shape) < shuffled, fresh, own) < shares[:, None]).astype(float)


def drawn(law: Law, users: int = 4000, seed: int = 0) -> np.ndarray:
    return users_of(law_values(law, TRUE[law], X / X[0]), users, seed)


def fitted(x: np.ndarray, values: np.ndarray, law: Law, resamples: int = 60) -> LawFit:
    found = fit_law(resampled(x, values, resamples), law)
    assert isinstance(found, LawFit), found
    return found


def reason(values: np.ndarray, law: Law = POWER, x: np.ndarray = X) -> str:
    found = fit_law(resampled(x, values, 60), law)
    assert isinstance(found, NoFit), found
    return found.reason


@pytest.mark.parametrize("law", Law)
def test_intervals_hold_the_true_parameters_about_as_often_as_they_say(law: Law) -> None:
    covered = []
    for seed in range(8):
        found = fitted(X, drawn(law, seed=seed), law, resamples=60)
        for parameter, truth in zip(found.parameters.values(), TRUE[law], strict=True):
            covered.append(parameter.low <= truth <= parameter.high)
        covered.append(found.error.low <= 0 <= found.error.high)
    assert np.mean(covered) >= 0.8


@pytest.mark.parametrize("law", Law)
def test_the_largest_x_takes_no_part_in_the_fit(law: Law) -> None:
    values = drawn(law)
    found, other = fitted(X, values, law), values.copy()
    other[-1] = 1 - other[-1]
    again = fitted(X, other, law)
    assert [each.value for each in again.parameters.values()] == [each.value for each in found.parameters.values()]
    assert found.x == tuple(X[:-1])
    assert again.predicted.value == found.predicted.value
    assert again.observed.value == pytest.approx(other[-1].mean())
    assert again.error.value == pytest.approx(found.predicted.value - other[-1].mean())


def test_intervals_are_those_of_refits_to_the_resampled_curves() -> None:
    found, curve = fitted(X, drawn(POWER), POWER), resampled(X, drawn(POWER), 60)
    plain = np.array([fit_parameters(POWER, X[:-1] / 20, draw[:-1]) for draw in curve.draws])
    for place, name in enumerate("abc"):
        low, high = np.quantile(plain[:, place], [0.025, 0.975])
        assert (found.parameters[name].low, found.parameters[name].high) == pytest.approx((low, high), rel=1e-3)
    assert found.failed == 0
    at = found.at([20, 800])
    assert at[1] == found.predicted
    assert at[0].value == pytest.approx(found.parameters["a"].value - found.parameters["b"].value)


def test_too_few_points_or_too_short_a_range() -> None:
    values = drawn(LINE)
    few = "3 points to fit besides those held out; a law needs at least 4"
    assert reason(values[:4], x=X[:4]) == few
    assert fitted(X[:5], values[:5], LINE).aicc is None
    assert reason(values[:1], x=X[:1]).startswith("0 points to fit")
    narrow = "the fitted x span a factor of 1.01; a law needs at least 2"
    assert reason(values, x=1e8 + np.arange(8) * 2e5) == narrow


@pytest.mark.parametrize("law", Law)
def test_flat_curves_are_explained_by_a_constant(law: Law) -> None:
    assert reason(users_of(np.full(8, 0.2)), law).startswith("a constant explains the points as well: ")
    assert reason(np.ones((8, 50)), law).startswith("a constant explains the points as well: ")


def test_falling_points_have_a_slope_but_no_law_that_rises() -> None:
    values = users_of(np.linspace(0.3, 0.2, 8))
    assert reason(values).startswith("the law only rises, the points fall: -0.0")
    assert fitted(X, values, LINE).parameters["b"].high < 0


@pytest.mark.parametrize("law", [POWER, EXPONENTIATED])
@pytest.mark.parametrize("shares", [0.2 + 0.02 * np.log(X / 20), np.r_[0.2, [0.3] * 7]])
def test_exponents_that_the_points_do_not_determine(law: Law, shares: np.ndarray) -> None:
    assert reason(users_of(shares), law).startswith("the exponent is not determined: ")


def test_all_laws_on_one_curve() -> None:
    found = fit_all(X, drawn(POWER, users=40_000), resamples=40)
    assert [fit.law for fit in found.fits] == list(Law)
    line = found.fits[2]
    assert isinstance(line, LawFit) and line.error.excludes_zero
    assert found.preferred is not LINE and found.fitted[-1].law is LINE


def test_of_a_peak_no_law_is_preferred() -> None:
    shares = np.array([0.2, 0.25, 0.28, 0.3, 0.31, 0.3, 0.27, 0.22])
    found = fit_all(X, users_of(shares, users=20_000), resamples=40)
    assert found.preferred is None and found.verdict.startswith("every fitted law misses the held-out points, ")


def test_aicc_prefers_the_law_that_was_drawn() -> None:
    x = np.geomspace(1, 1000, 30)
    truth = law_values(EXPONENTIATED, (0.5, 2.5, 0.5), x) + np.random.default_rng(0).normal(0, 0.002, 30)
    found = fit_all(x, users_of(truth, users=60_000, shuffled=0.0), resamples=50)
    scores = {fit.law: fit.aicc for fit in found.fits if isinstance(fit, LawFit)}
    assert min(scores, key=lambda law: scores[law] or 0.0) is EXPONENTIATED


def made(law: Law, aicc: float | None, error: float) -> LawFit:
    zero = Estimate(0.1, 0.0, 0.2)
    last = Estimate(error, error - 0.01, error + 0.01)
    return LawFit(law, (1.0, 2.0, 3.0, 4.0), {}, zero, zero, last, 0.0, aicc, 0.0, np.empty((3, 0)))


@pytest.mark.parametrize(
    ("fits", "law", "why"),
    [
        ([NoFit(POWER, "flat")], None, "no law could be fitted"),
        ([NoFit(POWER, "flat"), made(LINE, 1, 0.0)], LINE, "the only law that could be fitted"),
        ([made(POWER, 9, 0), made(LINE, 1, 0.02)], POWER, "the only law that the held-out points bear out"),
        ([made(POWER, 9, 0.03), made(LINE, 1, 0.02)], None, "log-linear by the least (0.0200)"),
        ([made(POWER, 1, 0.005), made(LINE, 4, 0)], POWER, "AICc lower by 3.0 than that of log-linear"),
        ([made(POWER, 1, 0), made(LINE, 2.5, 0)], None, "are not told apart (AICc differs by 1.5)"),
        ([made(POWER, None, 0.005), made(LINE, 1, 0.004)], LINE, "4 points are too few for AICc"),
    ],
)
def test_which_law_is_preferred(fits: list[LawFit | NoFit], law: Law | None, why: str) -> None:
    preferred, verdict = prefer(tuple(fits))
    assert preferred is law and verdict.endswith(why)
