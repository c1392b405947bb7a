"""next_purchase: what the prefixes of one purchase say of the next one, by counting alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CHUNK = 8192  # users ranked at once


class Purchases(NamedTuple):
    """Pairs of consecutive purchases of one user, (n, 2) item indices each: the earlier one, the later one.

    Attributes:
        training: to count.
        held_out: to predict the later one from the earlier one.
    """

    training: NDArray[np.int64]
    held_out: NDArray[np.int64]


def agreement(nodes: NDArray[np.int64], pairs: NDArray[np.int64]) -> tuple[float, float]:
    """The share in [0, 1] of pairs (n, 2) of items whose prefixes (I,) are one, and the share that would be by chance.

    By chance later purchases are dealt at random, so that popular prefixes count as much as they are bought.
    """
    earlier, later = (np.bincount(nodes[side], minlength=nodes.max() + 1) / len(pairs) for side in pairs.T)
    return float((nodes[pairs[:, 0]] == nodes[pairs[:, 1]]).mean()), float(earlier @ later)


def markov_recall(nodes: NDArray[np.int64], purchases: Purchases, k: int) -> float:
    """Recall@k of the next prefix by a first-order Markov model: counted from prefix to prefix in training.

    The prefixes that followed most often come first, of equal counts the more popular one; where fewer than k ever
    followed, the most popular others fill the list up.

    Args:
        nodes: (I,) number of each item's prefix, >= 0.
        purchases: to count and to predict, neither empty.
        k: length of the list, >= 1.

    Returns:
        Share of the held-out pairs whose later prefix is in the list, in [0, 1].
    """
    count = int(nodes.max()) + 1
    earlier, later = nodes[purchases.training].T
    popularity = np.bincount(later, minlength=count)
    popular = np.argsort(-popularity, kind="stable")[:k]
    keys, times = np.unique(earlier * count + later, return_counts=True)
    rows, columns = np.divmod(keys, count)
    order = np.lexsort((-popularity[columns], -times, rows))
    rows, columns = rows[order], columns[order]
    starts = np.searchsorted(rows, np.arange(count + 1))
    hits = 0
    for chunk in np.array_split(nodes[purchases.held_out], -(-len(purchases.held_out) // CHUNK)):
        places = starts[chunk[:, 0], None] + np.arange(k)  # (users, k)
        followed = places < starts[chunk[:, 0] + 1, None]
        first = np.where(followed, columns[np.minimum(places, len(columns) - 1)], -1)
        fresh = ~(first[:, :, None] == popular).any(axis=1)  # (users, k): popular ones that are not in the list yet
        room = np.cumsum(fresh, axis=1) <= k - followed.sum(axis=1, keepdims=True)
        target = chunk[:, 1, None]
        hits += int((((first == target).any(axis=1)) | ((popular == target) & fresh & room).any(axis=1)).sum())
    return hits / len(purchases.held_out)
