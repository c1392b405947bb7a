"""Drift along the path: hits of the true prefix and accuracy of the codes, level by level."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


def prefix_hits(kept: Tensor, true: Tensor) -> Tensor:
    """Says for every user whether the target's own prefix is among the prefixes kept at a level.

    Args:
        kept: (B, W) trie nodes of the paths kept at one level; -1 = no path in this place.
        true: (B,) trie node of the target's prefix at the same level; -1 = no target.

    Returns:
        (B,) bool.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> prefix_hits(torch.tensor([[4, 0], [2, -1]]), torch.tensor([0, 1])).tolist()
        [True, False]
    """
    if kept.ndim != 2 or true.ndim != 1 or len(kept) != len(true):
        raise ValueError(f"kept must be (B, W) and true (B,), got {tuple(kept.shape)} and {tuple(true.shape)}")
    return ((kept == true[:, None]) & (true[:, None] >= 0)).any(dim=1)


class LevelShares(Metric):
    """Share of users that are right, for each level on its own; states are sums over users.

    Fed with `prefix_hits` it is HRecall@b@W. Fed with whether a code is the true one it is an accuracy: teacher-forced
    for the likeliest codes after **true** prefixes, free-running for the codes of one decoded path; their gap is the
    drift.

    Args:
        levels: Number of levels L of a semantic ID.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    right: Tensor
    users: Tensor

    def __init__(self, levels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if levels < 1:
            raise ValueError(f"levels must be >= 1, got {levels}")
        self.levels = levels
        self.add_state("right", torch.zeros(levels, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("users", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, right: Tensor) -> None:
        """Adds one batch: (B, L) bool.

        Raises:
            ValueError: If there are not L levels.
        """
        if right.ndim != 2 or right.shape[1] != self.levels:
            raise ValueError(f"right must be (B, {self.levels}), got {tuple(right.shape)}")
        self.right += right.sum(dim=0)
        self.users += len(right)

    def compute(self) -> Tensor:
        """Returns the share per level: (L,) float64 in [0, 1], NaN without users."""
        return self.right.to(torch.float64) / self.users
