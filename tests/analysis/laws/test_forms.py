"""The laws as equations, and that their fits are the best of a fine grid."""

import numpy as np
import pytest

from promise.analysis.laws.forms import EXPONENTS, Law, fit_parameters, law_values

PLACES = np.array([1, 1.5, 2, 3, 5, 10, 20])
TRUE = {
    Law.SATURATING_POWER: np.array([0.07, 0.012, 1.4]),
    Law.EXPONENTIATED_POWER: np.array([0.07, 0.2, 1.1]),
    Law.LOG_LINEAR: np.array([0.06, 0.003]),
}


@pytest.mark.parametrize("law", Law)
def test_values_are_those_of_the_equation(law: Law) -> None:
    a, b, *c = TRUE[law]
    plain = {
        Law.SATURATING_POWER: lambda x: a - b * x ** -c[0],
        Law.EXPONENTIATED_POWER: lambda x: a * np.exp(-b * x ** -c[0]),
        Law.LOG_LINEAR: lambda x: a + b * np.log(x),
    }[law]
    np.testing.assert_allclose(law_values(law, TRUE[law], PLACES), [plain(x) for x in PLACES])
    assert law.form.startswith("y = a") and all(name in law.form for name in law.parameters)


@pytest.mark.parametrize("law", Law)
def test_exact_curves_give_their_parameters_back(law: Law) -> None:
    found = fit_parameters(law, PLACES, law_values(law, TRUE[law], PLACES))
    np.testing.assert_allclose(found, TRUE[law], rtol=1e-5)


def test_no_exponent_of_a_fine_grid_is_better() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        curve = law_values(Law.SATURATING_POWER, (0.07, 0.01, 2.0), PLACES) + rng.normal(0, 0.0005, len(PLACES))
        found = fit_parameters(Law.SATURATING_POWER, PLACES, curve)
        assert found is not None
        best = np.inf
        for c in np.geomspace(*EXPONENTS, 1000):
            design = np.stack([np.ones_like(PLACES), -(PLACES**-c)], axis=1)
            solution = np.linalg.lstsq(design, curve, rcond=None)[0]
            best = min(best, ((design @ solution - curve) ** 2).sum())
        assert ((law_values(Law.SATURATING_POWER, found, PLACES) - curve) ** 2).sum() <= best * (1 + 1e-6)


def test_what_a_law_cannot_be_fitted_to_has_no_parameters() -> None:
    falling = np.linspace(0.1, 0.05, 7)
    assert fit_parameters(Law.SATURATING_POWER, PLACES, falling) is None
    assert fit_parameters(Law.EXPONENTIATED_POWER, PLACES, falling) is None
    line = fit_parameters(Law.LOG_LINEAR, PLACES, falling)
    assert line is not None and line[1] < 0
    assert fit_parameters(Law.SATURATING_POWER, PLACES, np.r_[0.0, np.linspace(0.05, 0.1, 6)]) is not None
