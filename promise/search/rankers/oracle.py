"""Oracle: ranks by the distribution that a simulated purchase is drawn from, which no search can beat."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from promise.search.protocols import Batch, Ranking, UserRows
from promise.search.rankers.all_items import AllItems


class Oracle(AllItems):
    """Ranks items by their probabilities, which rest on all that a simulation knows of a user; those of 0 are none.

    Args:
        conditional: Gives (I,) `probabilities(user, length)`, such as `Conditional` of the simulated shop.
        all_items: As `AllItems`.

    Raises:
        ValueError: If a list is wrong.
    """

    def __init__(self, *, conditional: Any, **all_items: Any) -> None:
        super().__init__(**all_items)
        self.conditional = conditional

    def rank(self, batch: Batch, k: int) -> Ranking:
        """As `Ranker.rank`; the batch also holds the `users` (B,), and their whole histories."""
        self.users = iter(batch.users.tolist())  # type: ignore[attr-defined]
        return super().rank(batch, k)

    def score(self, users: UserRows) -> Tensor:
        """Probabilities (B, I); the users are those of the batch, in its order."""
        lengths = users.lengths.tolist()
        found = [self.conditional.probabilities(next(self.users), length) for length in lengths]
        scores = torch.from_numpy(np.stack(found)).float()
        return scores.masked_fill(scores <= 0, -torch.inf)
