"""Oracle: the likeliest items of each user by what a simulation knows; no ranker does better on its data."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from promise.search.rankers.oracle import Oracle


class Table:
    """Probabilities of 4 items that depend on user and length."""

    def probabilities(self, user: int, length: int) -> np.ndarray:
        return np.roll([0.0, 0.1, 0.3, 0.6], user + length)


def test_items_by_probability_but_none_of_probability_zero() -> None:
    batch = SimpleNamespace(
        users=torch.tensor([0, 3]), history=torch.tensor([[1, 0], [2, 3]]), lengths=torch.tensor([1, 2])
    )
    given: dict[str, Any] = {"conditional": Table(), "item_count": 4}
    ranking = Oracle(**given).rank(batch, 4)
    assert ranking.items.tolist() == [[0, 3, 2, -1], [0, 3, 2, -1]]
    np.testing.assert_allclose(ranking.scores[:, :3], [[0.6, 0.3, 0.1]] * 2, rtol=1e-6)
    assert ranking.cost.users == 2
    assert Oracle(**given, remove_seen=True, deny=[0]).rank(batch, 2).items.tolist() == [[3, 2], [-1, -1]]
