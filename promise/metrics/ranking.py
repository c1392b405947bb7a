"""Recall and NDCG at k, computed from the rank of each user's one target item."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
    """
    return (ranks < k).astype(np.float64)


def ndcg_values(ranks: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """NDCG@k of each user: with one target a user the ideal gain is 1, so it is `1[rank < k] / log2(rank + 2)`.

    Args:
        ranks: (n,) 0-based ranks as `target_ranks` returns them.
        k: Length of the list that counts, >= 1.

    Returns:
        (n,) values in [0, 1].
    """
    return (ranks < k) / np.log2(ranks.astype(np.float64) + 2)
