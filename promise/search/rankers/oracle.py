"""Oracle: ranks by the distribution that a simulated purchase is drawn from, which no search can beat."""

from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from promise.search.cost import Cost
from promise.search.filters.item_lists import ItemLists, Permitted
from promise.search.parts import rank_in_parts
from promise.search.protocols import Items, Ranking, UserRows
from promise.search.scoring import best_items

#: Probabilities (users x items) held at once: 256 MiB.
SCORES_AT_ONCE = 1 << 26


class NextPurchase(Protocol):
    """A simulation that knows what may happen next, such as `Conditional` of the simulated shop."""

    def probabilities(self, user: int, length: int) -> NDArray[np.floating]:
        """Of every item (I,) to be what a user takes after the first `length` items."""
        ...


class Oracle:
    """Ranks items by their probabilities, which rest on all that a simulation knows of a user; those of 0 are none.

    Args:
        conditional: Gives the probabilities.
        item_count: Items of the catalogue.
        remove_seen, allow, deny: What is never returned, as `ItemLists` takes it.

    Raises:
        ValueError: If a list is wrong.
    """

    def __init__(
        self,
        *,
        conditional: NextPurchase,
        item_count: int,
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
    ) -> None:
        self.conditional, self.item_count = conditional, item_count
        self.lists = ItemLists(item_count, remove_seen=remove_seen, allow=allow, deny=deny)

    def rank(self, batch: Any, k: int, allow: Items | None = None, deny: Items | None = None) -> Ranking:
        """The k likeliest items of every user; the batch also holds the `users` (B,), and their whole histories.

        Raises:
            ValueError: If a list is wrong.
        """
        size = max(1, SCORES_AT_ONCE // self.item_count)
        return rank_in_parts(partial(self.search, k, batch.users), batch, size, self.lists, allow, deny)

    def search(self, k: int, users: Tensor, rows: UserRows, permitted: Permitted, first: int) -> Ranking:
        """Ranks for rows of a batch from `first` on; the cost is without seconds."""
        device, lengths = rows.history.device, rows.lengths.tolist()
        known = zip(users[first : first + len(lengths)].tolist(), lengths, strict=True)
        scores = torch.from_numpy(np.stack([self.conditional.probabilities(*each) for each in known])).float()
        scores, items = best_items(permitted.narrow(scores.masked_fill(scores <= 0, -torch.inf)), k)
        return Ranking(items.to(device), scores.to(device), Cost(users=len(lengths)), [])
