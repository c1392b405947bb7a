"""Parts: put together, they are the whole batch, and every part knows its row and its lists."""

from typing import Any

import torch

from promise.search.cost import Cost
from promise.search.filters.restriction import Restriction, Restrictions
from promise.search.parts import rank_in_parts
from promise.search.protocols import Ranking, UserRows


def test_parts_make_the_whole(drawn: Any) -> None:
    batch = UserRows(torch.tensor([[0], [1], [2]]), torch.ones(3, dtype=torch.int64))
    seen: list[tuple[int, bool]] = []

    def search(users: UserRows, restriction: Restriction, first: int) -> Ranking:
        seen.append((first, restriction.permitted is None))
        scores = users.history.float()
        return Ranking(users.history, scores, Cost(len(scores), 10), [users.history + 5])

    whole = rank_in_parts(search, batch, 2, Restrictions(drawn.trie), None, None)
    assert seen == [(0, True), (2, True)]
    assert whole.items.tolist() == [[0], [1], [2]] and whole.scores.tolist() == [[0.0], [1.0], [2.0]]
    assert [nodes.tolist() for nodes in whole.kept] == [[[5], [6], [7]]]
    assert (whole.cost.users, whole.cost.flops) == (3, 20) and whole.cost.seconds > 0
    rank_in_parts(search, batch, 3, Restrictions(drawn.trie), None, torch.tensor([1]))
    assert seen[2:] == [(0, False)]
