"""SASRecRanker: ranks by a network that scores every item at once; one product, then the best k."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from promise.search.cost import Cost
from promise.search.filters.item_lists import ItemLists, Permitted
from promise.search.parts import rank_in_parts
from promise.search.protocols import Batch, Items, Ranking, UserRows
from promise.search.scoring import best_items

#: Scores (users x items) held at once: 64 MiB.
SCORES_AT_ONCE = 1 << 24


class ItemScoresCost(Protocol):
    """FLOPs of a network that scores items, summed over users whose histories have the given lengths."""

    def encode(self, history: Sequence[int]) -> int: ...
    def score(self, history: Sequence[int], items: int) -> int: ...


class ItemScores(Protocol):
    """A model that scores every item as the next one, such as `promise.models.sasrec.SASRec`."""

    @property
    def flops(self) -> ItemScoresCost: ...

    @property
    def history(self) -> int:
        """The most items H that it reads, the newest ones."""
        ...

    def encode(self, history: Tensor, lengths: Tensor) -> Tensor:
        """User states (B, D)."""
        ...

    def scores(self, users: Tensor) -> Tensor:
        """Scores (B, I)."""
        ...


class SASRecRanker:
    """Ranks the whole catalogue by the scores of a network.

    Args:
        sasrec: Scores every item.
        item_count: Items of the catalogue.
        remove_seen, allow, deny: What is never returned, as `ItemLists` takes it.

    Raises:
        ValueError: If a list is wrong.
    """

    def __init__(
        self,
        *,
        sasrec: ItemScores,
        item_count: int,
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
    ) -> None:
        self.sasrec = sasrec
        self.item_count = item_count
        self.lists = ItemLists(item_count, remove_seen=remove_seen, allow=allow, deny=deny)

    @torch.inference_mode()
    def rank(self, batch: Batch, k: int, allow: Items | None = None, deny: Items | None = None) -> Ranking:
        """The k best items of every user.

        Raises:
            ValueError: If the network gives NaN, or a list is wrong.
        """
        size = max(1, SCORES_AT_ONCE // self.item_count)
        return rank_in_parts(partial(self.search, k), batch, size, self.lists, allow, deny)

    def search(self, k: int, users: UserRows, permitted: Permitted, first: int) -> Ranking:
        """Scores and ranks, for users who fit memory: rows of a batch from `first` on; the cost is without seconds."""
        scores = self.sasrec.scores(self.sasrec.encode(users.history, users.lengths)).float()
        scores, items = best_items(permitted.narrow(scores), k)
        if (wrong := scores[:, 0].isnan()).any():  # topk puts NaN before all numbers
            raise ValueError(f"the network gave NaN for row {first + int(wrong.nonzero()[0])} of the batch")
        return Ranking(items, scores, self.cost(users.lengths.clamp_max(self.sasrec.history).tolist()), [])

    def cost(self, history: Sequence[int]) -> Cost:
        """Closed-formula cost, without seconds, of users with histories of the given lengths."""
        flops = self.sasrec.flops
        return Cost(len(history), flops.encode(history) + flops.score(history, self.item_count))
