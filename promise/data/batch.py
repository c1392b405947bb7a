"""Batch: the one shape in which users, their histories and their targets reach every network and search."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """B histories of at most H items, with P targets each; every tensor is int64.

    Evaluation and prefix training have one target per row (P = 1, seen from the last item of the history);
    window training has one for every history item whose successor no earlier window trained.

    Attributes:
        users: (B,) user index.
        history: (B, H) item index in time order, padded on the right with 0 (see `lengths`).
        lengths: (B,) real items in `history`, 1..H.
        positions: (B, P) for each target the index in `history` of the last item that it may see, 0..H-1.
        targets: (B, P) item index to predict, -1 where there is none.
    """

    users: Tensor
    history: Tensor
    lengths: Tensor
    positions: Tensor
    targets: Tensor
