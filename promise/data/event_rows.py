"""Rows of events as arrays of users, items and times: their order, first of each pair, k-core, new numbers."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def time_order(user: NDArray[Any], time: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the rows in the order of users and times; those of one user and time stay as they stand.

    >>> time_order(np.array([1, 0, 1, 1]), np.array([7, 9, 5, 7])).tolist()
    [1, 2, 0, 3]
    """
    low, high = int(time.min()), int(time.max())
    if (int(user.max()) + 1) * (high - low + 1) >= 2**63:
        return np.lexsort((time, user))
    # One key of both is sorted three times as fast.
    return np.argsort(user * np.int64(high - low + 1) + (time - low), kind="stable")


def compressed(ids: pl.Series, codes: NDArray[Any]) -> tuple[pl.Series, NDArray[np.int32]]:
    """The ids that occur, and the rows numbered anew."""
    there = np.bincount(codes, minlength=len(ids)) > 0
    return ids.filter(pl.Series(there)), (np.cumsum(there) - 1).astype(np.int32)[codes]


def counts(user: NDArray[Any], item: NDArray[Any]) -> tuple[int, int, int]:
    """Users, items and events."""
    return int((np.bincount(user) > 0).sum()), int((np.bincount(item) > 0).sum()), len(user)


def first_of_pairs(user: NDArray[Any], item: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) True at the first event of every pair of user and item."""
    pairs = user.astype(np.int64) << 32 | item
    _, rows = np.unique(pairs, return_index=True)
    first = np.zeros(len(pairs), bool)
    first[rows] = True
    return first


def k_core(user: NDArray[Any], item: NDArray[Any], user_least: int, item_least: int) -> NDArray[np.bool_]:
    """(n,) bool, the events that stay when users and items with too few are left out, again and again.

    >>> k_core(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 2]), 2, 2)
    array([ True,  True,  True,  True, False])
    """
    kept = np.arange(len(user))
    while True:
        enough = np.bincount(user[kept], minlength=1)[user[kept]] >= user_least
        enough &= np.bincount(item[kept], minlength=1)[item[kept]] >= item_least
        if enough.all():
            break
        kept = kept[enough]
    marks = np.zeros(len(user), bool)
    marks[kept] = True
    return marks
