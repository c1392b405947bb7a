"""Bootstrap intervals over users: of a mean, and of the paired difference of two means."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

CELLS_AT_ONCE = 1_000_000
MULTINOMIAL_COST = 16  # one count costs about as much as drawing this many users


@dataclass(frozen=True)
class Interval:
    """A mean over users with its bootstrap interval.

    Attributes:
        mean: Mean over users (of the per-user mean over seeds).
        low: Lower end of the interval.
        high: Upper end of the interval.
        seed_means: Mean over users for each seed on its own, in the order given.
    """

    mean: float
    low: float
    high: float
    seed_means: tuple[float, ...]


def mean_interval(values: ArrayLike, resamples: int = 10_000, seed: int = 0, level: float = 0.95) -> Interval:
    """Percentile bootstrap over users of the mean.

    A resample draws n users with replacement. Its mean depends only on how often each distinct value
    is drawn, which is multinomial: where a metric takes few values, drawing those counts has exactly
    the distribution of drawing users and is far cheaper.

    Args:
        values: (n,) one value per user; or (seeds, n), averaged over the seeds of a user first.
        resamples: Number of bootstrap resamples, >= 1.
        seed: Seed of the resampling.
        level: Coverage, in (0, 1).

    Returns:
        The mean and its interval.

    Example:
        >>> mean_interval([1.0, 1.0, 1.0])
        Interval(mean=1.0, low=1.0, high=1.0, seed_means=(1.0,))
    """
    per_seed = np.atleast_2d(np.asarray(values, dtype=np.float64))
    distinct, counts = np.unique(per_seed.mean(axis=0), return_counts=True)
    # Measured from the smallest value, so that equal values give exactly their own mean.
    steps, users = distinct - distinct[0], counts.sum()
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    few = len(distinct) * MULTINOMIAL_COST < users
    rows = max(1, CELLS_AT_ONCE // int(len(distinct) if few else users))
    each = np.repeat(steps, counts)  # (n,)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        if few:
            means[start : start + size] = rng.multinomial(users, counts / users, size) @ steps / users
        else:
            means[start : start + size] = each[rng.integers(0, users, (size, users), np.int32)].mean(axis=1)
    low, high = distinct[0] + np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(
        mean=float(distinct[0] + counts @ steps / users),
        low=float(low),
        high=float(high),
        seed_means=tuple(float(mean) for mean in per_seed.mean(axis=1)),
    )


def paired_interval(
    a: ArrayLike, b: ArrayLike, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Paired bootstrap over users of the mean of `a - b`.

    Args:
        a: (n,) or (seeds, n) values of one method.
        b: The same users (and seeds), in the same order, of the other method.
        resamples: Number of bootstrap resamples, >= 1.
        seed: Seed of the resampling.
        level: Coverage, in (0, 1).

    Returns:
        The mean difference and its interval.
    """
    return mean_interval(np.subtract(a, b, dtype=np.float64), resamples, seed, level)
