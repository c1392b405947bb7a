"""Predictions: ranks as a file says, so that anybody's model stands in the same tables, by the same evaluator."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from promise.search.cost import Cost
from promise.search.options import COUNT, require
from promise.search.protocols import Batch, Ranker, Ranking


class Lists(NamedTuple):
    """Ranked items of all users: user u has items[offsets[u]:offsets[u + 1]], best first, which may be none."""

    items: NDArray[np.integer]
    offsets: NDArray[np.integer]


class Predictions(Ranker):
    """Answers with the lists of a file, cut at `width`; a user without one gets none, and counts as not found.

    Args:
        file: Names a table with the columns user and items, or with a row per user and item, best first.
        width: Length of the lists, >= 1; longer ones are cut, and what asks for longer ones is not measured.
        read_lists: Reads the file, given its name and whether past items are to be returned.
        remove_seen: Whether items of a user's whole history are taken out of the list, before it is cut.

    Raises:
        ValueError: If no list is as long as `width`.
    """

    def __init__(
        self, file: str, width: int, *, read_lists: Callable[[str, bool], Lists], remove_seen: bool = False
    ) -> None:
        require("search.width", width, COUNT)
        self.width, self.lists = width, read_lists(file, remove_seen)
        if (longest := int(np.diff(self.lists.offsets).max(initial=0))) < width:
            raise ValueError(f"search.width={width}: the longest list of {file} has {longest} items")

    def rank(self, batch: Batch, k: int) -> Ranking:
        """As `Ranker.rank`; the batch also holds the `users` (B,). Scores are 1 / rank."""
        users: Any = batch.users  # type: ignore[attr-defined]
        starts, ends = (self.lists.offsets[users.cpu().numpy() + side] for side in (0, 1))
        places = np.arange(min(k, self.width))
        there = places < (ends - starts)[:, None]  # (B, k)
        items = np.full(there.shape, -1)
        items[there] = self.lists.items[(starts[:, None] + places)[there]]
        scores = np.where(there, 1 / (places + 1), -np.inf).astype(np.float32)
        device = batch.history.device
        return Ranking(
            torch.from_numpy(items).to(device), torch.from_numpy(scores).to(device), Cost(users=len(items)), []
        )
