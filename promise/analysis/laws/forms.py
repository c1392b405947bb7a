"""The three laws as equations, and their least-squares fit to one curve.

With x₀ the smallest fitted x, so that a and b are in the unit of the metric and c alone is the exponent:

- saturating power, `y = a − b·(x/x₀)^(−c)`: the ceiling a, the shortfall b at x₀, b > 0, c > 0;
- exponentiated power, `y = a·exp(−b·(x/x₀)^(−c))`, b > 0, c > 0: the coverage law `log y = −b·x^(−c)` of repeated
  sampling (Brown et al., 2024, arXiv 2407.21787) with a ceiling a in place of 1;
- log-linear, `y = a + b·ln(x/x₀)`: the accuracy a at x₀, its growth b for every factor e.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

#: Exponents that points can tell. Below, a power is a straight line in log x; above, only x₀ is off the ceiling.
EXPONENTS = (0.02, 10.0)

Floats = NDArray[np.float64]


class Law(StrEnum):
    """The laws, by name."""

    SATURATING_POWER = "saturating power"
    EXPONENTIATED_POWER = "exponentiated power"
    LOG_LINEAR = "log-linear"

    @property
    def form(self) -> str:
        """The law's equation; x0 is the smallest fitted x."""
        return {
            Law.SATURATING_POWER: "y = a - b (x/x0)^-c",
            Law.EXPONENTIATED_POWER: "y = a exp(-b (x/x0)^-c)",
            Law.LOG_LINEAR: "y = a + b ln(x/x0)",
        }[self]

    @property
    def parameters(self) -> str:
        """Names of the parameters, a letter each."""
        return "ab" if self is Law.LOG_LINEAR else "abc"


def law_values(law: Law, parameters: Sequence[Any] | Floats, places: Floats) -> Floats:
    """A law's values at places that are multiples of x₀; arrays of parameters broadcast against them.

    >>> law_values(Law.SATURATING_POWER, (0.3, 0.1, 1.0), np.array([1.0, 2.0])).tolist()
    [0.19999999999999998, 0.25]
    """
    a, b, *c = parameters
    with np.errstate(over="ignore", invalid="ignore"):
        if law is Law.LOG_LINEAR:
            return a + b * np.log(places)
        power = b * places ** -c[0]
        return a - power if law is Law.SATURATING_POWER else a * np.exp(-power)


def fit_parameters(law: Law, places: Floats, means: Floats, start: Floats | None = None) -> Floats | None:
    """The least-squares parameters (parameters,) of a law to means (points,) at multiples of x₀ (points,), from 1 on.

    They are sought from `start`, None = the curve's ends with exponent 1. None where there are none: a power law to
    points that fall, or an exponent out of `EXPONENTS`.
    """
    if start is None:
        rise = means[-1] - means[0]
        shortfall = rise / means[-1] if law is Law.EXPONENTIATED_POWER and means[-1] else rise
        start = np.array([means[0], rise / np.log(places[-1])] if law is Law.LOG_LINEAR else [means[-1], shortfall, 1])

    def misses(parameters: Floats) -> Floats:
        return law_values(law, parameters, places) - means

    found = least_squares(misses, start, method="lm", x_scale="jac").x
    if law is Law.LOG_LINEAR:
        return found
    low, high = EXPONENTS
    return found if np.isfinite(found).all() and found[1] > 0 and low < found[2] < high else None
