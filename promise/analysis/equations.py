"""The three laws as equations: their values, and their least-squares fit to many curves at once.

With x₀ the smallest fitted x, so that a and b are in the unit of the metric and c alone is the exponent:

- saturating power, `y = a − b·(x/x₀)^(−c)`: the ceiling a, the shortfall b at x₀, b > 0, c > 0;
- exponentiated power, `y = a·exp(−b·(x/x₀)^(−c))`, b > 0, c > 0: the coverage law `log y = −b·x^(−c)` of repeated
  sampling (Brown et al., 2024, arXiv 2407.21787) with a ceiling a in place of 1;
- log-linear, `y = a + b·ln(x/x₀)`: the accuracy a at x₀, its growth b for every factor e.

All three are straight lines in some f(x; c) once c is known (the exponentiated power in log y), so the least-squares
problem in three parameters is one in c alone (variable projection), solved for all resamples of the users at once.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: The exponents searched. At the lower end a power is a logarithm; at the upper one only x₀ is off the ceiling.
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
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return ("a", "b") if self is Law.LOG_LINEAR else ("a", "b", "c")


def refit(law: Law, x: ArrayLike, means: ArrayLike) -> Floats:
    """Fit a law to many curves at once, by least squares (in log y for the exponentiated power).

    The exponent is found on a grid and then by golden section, all curves side by side; no start is needed.

    Args:
        law: The law.
        x: (points,) places, rising, as multiples of the first.
        means: (curves, points) values.

    Returns:
        (curves, 3) parameters a, b, c; c is NaN in a law without it. A row is NaN where the law does not fit at all:
        the values fall where it rises, or have no logarithm.
    """
    places, ys = np.asarray(x, dtype=np.float64), np.asarray(means, dtype=np.float64)
    if law is Law.LOG_LINEAR:
        at, slope, _ = line(np.broadcast_to(np.log(places), ys.shape), ys)
        return np.stack([at, slope, np.full_like(at, np.nan)], axis=1)
    usable, targets = np.ones(len(ys), dtype=bool), ys
    if law is Law.EXPONENTIATED_POWER:
        usable = np.asarray((ys > 0).all(axis=1))
        targets = np.log(np.where(usable[:, None], ys, 1.0))
    logs = np.log(places)

    def misfit(exponents: Floats) -> Floats:
        """Sum of squares of every curve at its own exponent (curves,); a curve that falls is fitted by its mean."""
        return line(-np.exp(-exponents[:, None] * logs), targets)[2]

    grid = np.geomspace(*EXPONENTS, 49)
    sums = np.stack([misfit(np.full(len(ys), exponent)) for exponent in grid])  # (exponents, curves)
    lowest = sums.argmin(axis=0)
    low, high = (np.log(grid[np.clip(lowest + step, 0, len(grid) - 1)]) for step in (-1, 1))
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        better = misfit(np.exp(left)) <= misfit(np.exp(right))
        low, high = np.where(better, low, left), np.where(better, right, high)
    exponents = np.exp((low + high) / 2)
    ceiling, shortfall, _ = line(-np.exp(-exponents[:, None] * logs), targets)
    found = np.stack([np.exp(ceiling) if law is Law.EXPONENTIATED_POWER else ceiling, shortfall, exponents], axis=1)
    return np.where((usable & (shortfall > 0))[:, None], found, np.nan)


def line(features: Floats, targets: Floats) -> tuple[Floats, Floats, Floats]:
    """Lines `targets ≈ at + slope·features`: at, slope and sum of squares (curves,), where a line falls the mean's.

    A sum of squares is taken of the residuals themselves: differences of large sums lose what a close fit is about.
    """
    centred = features - features.mean(axis=1, keepdims=True)
    heights = targets - targets.mean(axis=1, keepdims=True)
    slope = (centred * heights).sum(axis=1) / (centred**2).sum(axis=1)
    residuals = heights - np.maximum(slope, 0)[:, None] * centred
    return targets.mean(axis=1) - slope * features.mean(axis=1), slope, (residuals**2).sum(axis=1)


def values_of(law: Law, parameters: Floats, places: Floats) -> Floats:
    """A law's values (n, m), given parameters a, b, c (n, 3), at places (m,) that are multiples of x₀."""
    a, b, c = (column[:, None] for column in parameters.T)
    if law is Law.LOG_LINEAR:
        return a + b * np.log(places)
    power = b * places**-c
    return a - power if law is Law.SATURATING_POWER else a * np.exp(-power)
