"""Hits of the true prefix among those that a search keeps."""

from torch import Tensor


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
        >>> import torch
        >>> prefix_hits(torch.tensor([[4, 0], [2, -1]]), torch.tensor([0, 1])).tolist()
        [True, False]
    """
    if kept.ndim != 2 or true.ndim != 1 or len(kept) != len(true):
        raise ValueError(f"kept must be (B, W) and true (B,), got {tuple(kept.shape)} and {tuple(true.shape)}")
    return ((kept == true[:, None]) & (true[:, None] >= 0)).any(dim=1)
