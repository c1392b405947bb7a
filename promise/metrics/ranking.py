"""Recall and NDCG at k, computed from the rank of each user's one target item."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

NOT_RANKED: int = 2**31 - 1
"""The rank of a target that is not in the list."""


def target_ranks(items: Tensor, targets: Tensor) -> Tensor:
    """Finds the place of every user's target in that user's ranked list.

    Args:
        items: (B, k) item indices, best first; -1 = no item at this place.
        targets: (B,) item indices; -1 = this user has no target (never found).

    Returns:
        (B,) int64, 0 = first place, `NOT_RANKED` where the list does not hold the target.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> target_ranks(torch.tensor([[7, 3, -1], [5, -1, -1]]), torch.tensor([3, 4])).tolist()
        [1, 2147483647]
    """
    if items.ndim != 2 or targets.ndim != 1 or len(items) != len(targets):
        raise ValueError(f"items must be (B, k) and targets (B,), got {tuple(items.shape)} and {tuple(targets.shape)}")
    if items.shape[1] == 0:
        return torch.full_like(targets, NOT_RANKED, dtype=torch.int64)
    hits = (items == targets[:, None]) & (targets[:, None] >= 0)  # (B, k)
    return torch.where(hits.any(dim=1), hits.to(torch.uint8).argmax(dim=1), NOT_RANKED)


def recall_values(ranks: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Recall@k of each user: with one target a user it is the hit rate, `1[rank < k]`.

    Args:
        ranks: (n,) 0-based ranks as `target_ranks` returns them.
        k: Length of the list that counts, >= 1.

    Returns:
        (n,) 0.0 or 1.0.

    Raises:
        ValueError: If k < 1.
    """
    return _recall(torch.tensor(ranks), _checked(k)).numpy()


def ndcg_values(ranks: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """NDCG@k of each user: with one target a user the ideal gain is 1, so it is `1[rank < k] / log2(rank + 2)`.

    Args:
        ranks: (n,) 0-based ranks as `target_ranks` returns them.
        k: Length of the list that counts, >= 1.

    Returns:
        (n,) values in [0, 1].

    Raises:
        ValueError: If k < 1.
    """
    return _ndcg(torch.tensor(ranks), _checked(k)).numpy()


def _recall(ranks: Tensor, k: int) -> Tensor:
    return (ranks < k).to(torch.float64)


def _ndcg(ranks: Tensor, k: int) -> Tensor:
    return (ranks < k) / torch.log2(ranks.to(torch.float64) + 2)


def _checked(k: int) -> int:
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    return k


class _MeanOverUsers(Metric):
    """Mean over users of one value per target rank; states are sums, so processes add up exactly."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    values: Callable[[Tensor, int], Tensor]
    total: Tensor
    users: Tensor

    def __init__(self, k: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = _checked(k)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("users", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, ranks: Tensor) -> None:
        """Add the users of one batch, given their target ranks (B,)."""
        self.total += self.values(ranks, self.k).sum()
        self.users += ranks.numel()

    def compute(self) -> Tensor:
        """Return the mean over all users so far: a float64 scalar in [0, 1], NaN without users."""
        return self.total / self.users


class Recall(_MeanOverUsers):
    """Recall@k over target ranks: see `recall_values`."""

    values = staticmethod(_recall)


class NDCG(_MeanOverUsers):
    """NDCG@k over target ranks: see `ndcg_values`."""

    values = staticmethod(_ndcg)
