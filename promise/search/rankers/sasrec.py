"""SASRecRanker: ranks by a network that scores every item at once; one product, then the best k."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from promise.search.cost import Cost
from promise.search.protocols import UserRows
from promise.search.rankers.all_items import AllItems


class SASRecRanker(AllItems):
    """Ranks the whole catalogue by the scores of a network.

    Args:
        sasrec: Scores every item, as `promise.models.sasrec.SASRec` does: `encode`, `scores`, `history`, `flops`.
        all_items: As `AllItems`.

    Raises:
        ValueError: If a list is wrong.
    """

    scores_at_once = 1 << 24

    def __init__(self, *, sasrec: Any, **all_items: Any) -> None:
        super().__init__(**all_items)
        self.sasrec = sasrec

    def score(self, users: UserRows) -> Tensor:
        """Scores (B, I) of the network."""
        return self.sasrec.scores(self.sasrec.encode(users.history, users.lengths)).float()

    def cost(self, history: Sequence[int]) -> Cost:
        """Closed-formula cost, without seconds, of users with histories of the given lengths."""
        read = [min(length, self.sasrec.history) for length in history]
        flops = self.sasrec.flops
        return Cost(len(read), flops.encode(read) + flops.score(read, self.item_count))
