"""The laws as equations, and their fits to many curves at once against scipy's, each from scratch."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from promise.analysis.equations import EXPONENTS, Law, refit, values_of

PLACES = np.array([1, 1.5, 2, 3, 5, 10, 20])
TRUE = {
    Law.SATURATING_POWER: (0.07, 0.012, 1.4),
    Law.EXPONENTIATED_POWER: (0.07, 0.2, 1.1),
    Law.LOG_LINEAR: (0.06, 0.003, np.nan),
}


def plain(law: Law, parameters: tuple[float, ...], places: np.ndarray) -> list[float]:
    """The equations as they are written down."""
    a, b, c = parameters
    if law is Law.SATURATING_POWER:
        return [a - b * x ** (-c) for x in places]
    if law is Law.EXPONENTIATED_POWER:
        return [a * np.exp(-b * x ** (-c)) for x in places]
    return [a + b * np.log(x) for x in places]


@pytest.mark.parametrize("law", Law)
def test_values_are_those_of_the_equation(law: Law) -> None:
    found = values_of(law, np.array([TRUE[law], TRUE[law]]), PLACES)
    np.testing.assert_allclose(found, [plain(law, TRUE[law], PLACES)] * 2)
    assert law.form.startswith("y = a")
    assert all(name in law.form for name in law.parameters)


@pytest.mark.parametrize("law", Law)
def test_exact_curves_give_their_parameters_back(law: Law) -> None:
    found = refit(law, PLACES, values_of(law, np.array([TRUE[law]]), PLACES))
    np.testing.assert_allclose(found[0], TRUE[law], rtol=1e-5)


@pytest.mark.parametrize("law", Law)
def test_noisy_curves_as_scipy_fits_them_one_by_one(law: Law) -> None:
    rng = np.random.default_rng(0)
    truth = values_of(law, np.array([TRUE[law]]), PLACES)
    curves = truth * (1 + rng.normal(0, 0.004, (40, len(PLACES))))

    def scipys(curve: np.ndarray) -> np.ndarray:
        if law is Law.LOG_LINEAR:
            a, b = curve_fit(lambda x, a, b: a + b * np.log(x), PLACES, curve)[0]
            return np.array([a, b, np.nan])
        if law is Law.SATURATING_POWER:
            return curve_fit(lambda x, a, b, c: a - b * x**-c, PLACES, curve, p0=(0.08, 0.02, 1.0), xtol=1e-12)[0]
        log_a, b, c = curve_fit(
            lambda x, log_a, b, c: log_a - b * x**-c, PLACES, np.log(curve), p0=(-2.5, 0.2, 1.0), xtol=1e-12
        )[0]
        return np.array([np.exp(log_a), b, c])

    np.testing.assert_allclose(refit(law, PLACES, curves), [scipys(curve) for curve in curves], rtol=2e-4)


def test_no_exponent_of_a_fine_grid_is_better() -> None:
    rng = np.random.default_rng(1)
    curves = 0.07 - 0.01 * PLACES**-2.0 + rng.normal(0, 0.001, (20, len(PLACES)))
    found = refit(Law.SATURATING_POWER, PLACES, curves)
    for curve, parameters in zip(curves, found, strict=True):
        best = np.inf
        for c in np.geomspace(*EXPONENTS, 3000):
            design = np.stack([np.ones_like(PLACES), -(PLACES**-c)], axis=1)
            solution = np.linalg.lstsq(design, curve, rcond=None)[0]
            best = min(best, ((design @ solution - curve) ** 2).sum())
        mine = ((values_of(Law.SATURATING_POWER, parameters[None], PLACES)[0] - curve) ** 2).sum()
        assert mine <= best * (1 + 1e-9)


def test_what_a_law_cannot_be_fitted_to_is_missing() -> None:
    falling, zero = np.linspace(0.1, 0.05, 7), np.r_[0.0, np.linspace(0.05, 0.1, 6)]
    assert np.isnan(refit(Law.SATURATING_POWER, PLACES, [falling])).all()
    assert np.isnan(refit(Law.EXPONENTIATED_POWER, PLACES, [falling, zero])).all()
    assert refit(Law.LOG_LINEAR, PLACES, [falling])[0, 1] < 0
    assert np.isfinite(refit(Law.SATURATING_POWER, PLACES, [zero])).all()


def test_a_curve_does_not_depend_on_those_beside_it() -> None:
    curves = np.random.default_rng(2).uniform(0.05, 0.06, (5, 7)) + 0.01 * np.log(PLACES)
    for law in Law:
        np.testing.assert_allclose(refit(law, PLACES, curves)[3], refit(law, PLACES, curves[3:4])[0], rtol=1e-7)
