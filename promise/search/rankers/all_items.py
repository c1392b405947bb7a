"""AllItems: ranks by a score of every item; what counts and SASRec have in common."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from promise.search.cost import Cost
from promise.search.filters.item_lists import ItemLists, Permitted
from promise.search.parts import PartRanker
from promise.search.protocols import Items, NotANumber, Ranking, UserRows
from promise.search.scoring import best_items


class AllItems(PartRanker):
    """A ranker of the whole catalogue by one score an item.

    Args:
        item_count: Items of the catalogue I.
        remove_seen, allow, deny: What is never returned, as `ItemLists` takes it.

    Attributes:
        scores_at_once: Scores (users x items) that are held at once.

    Raises:
        ValueError: If a list is wrong.
    """

    scores_at_once: ClassVar[int] = 1 << 26

    def __init__(
        self, *, item_count: int, remove_seen: bool = False, allow: Items | None = None, deny: Items | None = None
    ) -> None:
        self.item_count = item_count
        self.restrictions = ItemLists(item_count, remove_seen=remove_seen, allow=allow, deny=deny)
        self.users_at_once = max(1, self.scores_at_once // item_count)

    @abstractmethod
    def score(self, users: UserRows) -> Tensor:
        """Scores (B, I) of every item; -inf where an item is not to be returned."""

    def cost(self, history: Sequence[int]) -> Cost:
        """Cost, without seconds, of users with histories of the given lengths; sums of counts are no FLOPs."""
        return Cost(users=len(history))

    def search(self, k: int, users: UserRows, permitted: Permitted, first: int) -> Ranking:
        """Scores and ranks: see `PartRanker.search`."""
        scores, items = best_items(permitted.narrow(self.score(users)), k)
        if (wrong := scores[:, 0].isnan()).any():  # topk puts NaN before all numbers
            raise NotANumber(f"the network gave NaN for row {first + int(wrong.nonzero()[0])} of the batch")
        device = users.history.device
        return Ranking(items.to(device), scores.to(device), self.cost(users.lengths.tolist()), [])
