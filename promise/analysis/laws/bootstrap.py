"""Curves over resampled users: the means of a curve's points, and their intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Coverage of every interval.
LEVEL = 0.95

#: Resamples of the users behind an interval.
RESAMPLES = 500

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number from all users with its 95 % bootstrap interval over users."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0

    def text(self, digits: int = 4, sign: str = "") -> str:
        """The estimate as a reader sees it, such as `0.0683 (0.0651 to 0.0716)`."""
        ends = f"{self.low:{sign}.{digits}f} to {self.high:{sign}.{digits}f}"
        return f"{self.value:{sign}.{digits}f} ({ends})"


@dataclass(frozen=True)
class LawCurve:
    """A curve's points over x, and the same points over resampled users.

    Attributes:
        x: (points,) places, rising.
        means: (points,) means over all users.
        draws: (resamples, points) means over the users of each resample; a resample has the same users at all points.
        users: Number of users.
    """

    x: Floats
    means: Floats
    draws: Floats
    users: int

    def of(self, statistic: Callable[[Floats], Floats]) -> Estimate:
        """Estimate of a statistic of the points: a function from (n, points) to (n,)."""
        return estimate(float(statistic(self.means[None])[0]), statistic(self.draws))

    @property
    def points(self) -> tuple[Estimate, ...]:
        """Every point with its own interval."""
        return tuple(map(estimate, self.means, self.draws.T))


def estimate(value: float, draws: ArrayLike) -> Estimate:
    """A value with the percentile interval of its draws (n,)."""
    low, high = np.quantile(np.asarray(draws), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))


def resampled(x: ArrayLike, values: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> LawCurve:
    """Draw users with replacement, the same ones for all points of the curve.

    A resample's means depend only on how often each distinct row of values is drawn, which is multinomial: drawing
    those counts has exactly the distribution of drawing users.

    Args:
        x: (points,) places along x, in any order, > 0 and distinct; in any unit.
        values: (points, users) one value per user, averaged over the user's seeds first.
        resamples: Number of bootstrap resamples, >= 1.
        seed: Seed of the resampling.

    Returns:
        The curve, sorted along x.
    """
    places, per_user = np.asarray(x, dtype=np.float64), np.asarray(values, dtype=np.float64)
    order = np.argsort(places)
    rows = per_user[order].T  # (users, points)
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(rows), counts / len(rows), resamples)  # (resamples, distinct)
    return LawCurve(places[order], rows.mean(axis=0), drawn @ distinct / len(rows), len(rows))
