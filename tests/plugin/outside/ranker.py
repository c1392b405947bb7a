"""A ranker from outside: the items nearest to the last one."""

import numpy as np
import torch

from promise.search.cost import Cost
from promise.search.protocols import Ranker, Ranking


class Nearest(Ranker):
    """Items by the distance of their vectors to that of the user's last item.

    Args:
        sign: 1 = the nearest first, -1 = the furthest.
        item_vectors: (I, E).
    """

    def __init__(self, sign: float, *, item_vectors: np.ndarray) -> None:
        self.sign, self.vectors = sign, torch.from_numpy(item_vectors)

    def rank(self, batch, k) -> Ranking:  # type: ignore[no-untyped-def]
        """The k items with the best scores."""
        last = batch.history.gather(1, batch.lengths[:, None] - 1)[:, 0]
        found = (-self.sign * torch.cdist(self.vectors[last], self.vectors)).topk(min(k, len(self.vectors)))
        return Ranking(found.indices, found.values, Cost(users=len(last)), [])
