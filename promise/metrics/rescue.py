"""How well a judge knows the true prefix among candidates: its place, calibration, and medians with an interval."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def true_rank(scores: Tensor, nodes: Tensor, true: Tensor) -> Tensor:
    """Finds the place of the true prefix when a judge sorts the candidates.

    Ties share the mean of their places, so that a judge who scores all alike is no better than chance.

    Args:
        scores: (B, C) of the candidates.
        nodes: (B, C) their trie nodes, distinct within a row; -1 = no candidate.
        true: (B,) trie node of the target's prefix.

    Returns:
        (B,) float64, 1 = first; NaN where the true prefix is no candidate.
    """
    found = _found(scores, nodes, true)
    own = scores.double().masked_fill(~found, -torch.inf).amax(1, keepdim=True)  # (B, 1)
    real = nodes >= 0
    above, level = ((real & sides).sum(1) for sides in (scores > own, scores == own))
    return (above + (level + 1) / 2.0).double().masked_fill(~found.any(1), torch.nan)


class Belief(NamedTuple):
    """A judge's confidence in its favourite among a user's candidates.

    Attributes:
        confidence: (B,) float64, softmax of the score of the best candidate; NaN where the truth is no candidate.
        right: (B,) bool, whether the best candidate is the true prefix.
    """

    confidence: Tensor
    right: Tensor


def belief(scores: Tensor, nodes: Tensor, true: Tensor) -> Belief:
    """Takes a judge's scores as probabilities: softmax over the candidates of a user.

    Scores learnt by InfoNCE are log-probabilities up to a constant of the user, given that one of the candidates is
    the true one; so users for whom none is are left out (NaN).

    Args:
        scores: (B, C) of the candidates.
        nodes: (B, C) their trie nodes, distinct within a row; -1 = no candidate.
        true: (B,) trie node of the target's prefix.
    """
    found = _found(scores, nodes, true)
    probabilities = scores.double().masked_fill(nodes < 0, -torch.inf).softmax(1)
    confidence, best = probabilities.max(1)
    right = found.gather(1, best[:, None])[:, 0]
    return Belief(confidence.masked_fill(~found.any(1), torch.nan), right)


def calibration_error(confidence: ArrayLike, right: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error in [0, 1]: mean over users of |accuracy - confidence| of their bin.

    Bins hold equally many users of like confidence; there are no more than users.

    Args:
        confidence: (n,) in [0, 1], n >= 1.
        right: (n,) bool.
        bins: Number of bins, >= 1.

    Example:
        >>> round(calibration_error([0.2, 0.4, 0.9, 0.9], [False, False, True, False], bins=2), 6)
        0.35
    """
    values, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    parts = np.array_split(np.argsort(values, kind="stable"), min(bins, len(values)))
    return float(sum(abs((hits[part] - values[part]).sum()) for part in parts) / len(values))


def median_interval(values: ArrayLike) -> tuple[float, float, float]:
    """Median over users with its 95 % percentile bootstrap interval, from 10,000 resamples.

    The k-th smallest value is at or above the median of a resample as soon as half of its n draws are among the k
    smallest; so the place of that median in the sorted values is drawn directly, by its distribution: the middle of
    n uniform draws of a place.

    Args:
        values: (n,) one finite value per user.

    Returns:
        The median (the lower of two middle values), and the ends of its interval.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    count = len(ordered)
    middle = (count + 1) // 2  # the middle of n uniform draws is Beta(middle, n + 1 - middle)
    ends = np.quantile(np.random.default_rng(0).beta(middle, count + 1 - middle, 10_000), [0.025, 0.975])
    low, high = ordered[np.minimum((ends * count).astype(np.int64), count - 1)]
    return float(ordered[middle - 1]), float(low), float(high)


def _found(scores: Tensor, nodes: Tensor, true: Tensor) -> Tensor:
    """(B, C) bool, True at the true prefix."""
    return (nodes == true[:, None]) & (true[:, None] >= 0)
