"""Ranker over a network that scores every item at once, such as SASRec: one product, then the best k."""

import time
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from promise.search.cost import Cost
from promise.search.item_lists import ItemLists
from promise.search.protocols import Items, Ranking, SomeUsers, Users

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
        remove_seen: Never return an item of the user's history.
        allow: (n,) the only items that are ever returned; None = all.
        deny: (n,) items that are never returned; None = none.

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
    def rank(self, batch: Users, k: int, allow: Items | None = None, deny: Items | None = None) -> Ranking:
        """The k best items of every user.

        Raises:
            ValueError: If the network gives NaN, or a list is wrong.
        """
        began = time.perf_counter()
        permitted = self.lists.of(batch, allow, deny)
        found = []
        for part, users in SomeUsers.parts(batch, max(1, SCORES_AT_ONCE // self.item_count)):
            scores = self.sasrec.scores(self.sasrec.encode(users.history, users.lengths)).float()
            if permitted:
                scores = permitted.rows(part).narrow(scores)
            found.append(scores.topk(min(k, self.item_count)))
        scores, items = torch.cat([best.values for best in found]), torch.cat([best.indices for best in found])
        if (wrong := scores[:, 0].isnan()).any():  # topk puts NaN before all numbers
            raise ValueError(f"the network gave NaN for row {int(wrong.nonzero()[0])} of the batch")
        lengths = batch.lengths.clamp_max(self.sasrec.history).tolist()
        flops = self.sasrec.flops.encode(lengths) + self.sasrec.flops.score(lengths, self.item_count)
        cost = Cost(users=len(lengths), flops=flops, seconds=time.perf_counter() - began)
        return Ranking(items.masked_fill(scores == -torch.inf, -1), scores, cost, [])
