"""Where along the path a search loses the target: hits per level, and accuracy per level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


def prefix_hits(kept: Tensor, true: Tensor) -> Tensor:
    """Say for every user whether the target's own prefix is among the prefixes kept at a level.

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


def first_error(right: Tensor) -> Tensor:
    """Find the level at which a path first leaves the true one.

    Args:
        right: (B, L) bool, whether each code of the path is the true one.

    Returns:
        (B,) int64 level 1..L of the first wrong code; L + 1 where there is none.

    Raises:
        ValueError: If it is no table of booleans.

    Example:
        >>> first_error(torch.tensor([[True, False, True], [True, True, True]])).tolist()
        [2, 4]
    """
    if right.ndim != 2 or right.dtype != torch.bool:
        raise ValueError(f"right must be (B, L) bool, got {tuple(right.shape)} {right.dtype}")
    return right.long().cumprod(dim=1).sum(dim=1) + 1


class _SharePerLevel(Metric):
    """Share of users that count as right, for each level; states are sums over users."""

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

    def compute(self) -> Tensor:
        """Return the share per level: (levels,) float64 in [0, 1], NaN without users."""
        return self.right.to(torch.float64) / self.users


class HRecall(_SharePerLevel):
    """HRecall@b@W: share of users whose true depth-b prefix is among the W paths kept at level b.

    Args:
        levels: Number of levels L of the search.
    """

    def update(self, hits: Sequence[Tensor]) -> None:
        """Add one batch.

        Args:
            hits: One (B,) bool tensor per level, as `prefix_hits` returns it.

        Raises:
            ValueError: If there is not one tensor per level.
        """
        if len(hits) != self.levels:
            raise ValueError(f"hits must hold {self.levels} levels, got {len(hits)}")
        stacked = torch.stack(tuple(hits))  # L x (B,) -> (L, B)
        self.right += stacked.sum(dim=1)
        self.users += stacked.shape[1]


class LevelAccuracy(_SharePerLevel):
    """Share of users whose predicted code equals the true one, for each level on its own.

    Fed with the likeliest code after the **true** prefix it is teacher-forced accuracy, fed with
    the codes of one decoded path it is free-running accuracy; their gap is the drift.

    Args:
        levels: Number of levels L of a semantic ID.
    """

    def update(self, predicted: Tensor, true: Tensor) -> None:
        """Add one batch.

        Args:
            predicted: (B, L) codes; -1 = no prediction (never right).
            true: (B, L) codes.

        Raises:
            ValueError: If the shapes differ or do not have L levels.
        """
        if predicted.shape != true.shape or true.ndim != 2 or true.shape[1] != self.levels:
            raise ValueError(
                f"predicted and true must be (B, {self.levels}), got {tuple(predicted.shape)} and {tuple(true.shape)}"
            )
        self.right += (predicted == true).sum(dim=0)
        self.users += len(true)
