"""Unknown items in histories: dropped and counted, and users who have no other."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from promise.search.cost import Cost
from promise.search.filters.fallback import KnownHistories
from promise.search.protocols import Ranking, UserRows
from promise.search.rankers.counts import Popularity


class Script:
    """The same list for every user, and notes of what it was asked."""

    def __init__(self, columns: int, plus: int = 0, depths: int = 0) -> None:
        self.columns, self.plus, self.depths = columns, plus, depths
        self.asked: list[dict[str, Any]] = []

    def rank(self, batch: Any, k: int, allow: Any = None, deny: Any = None) -> Ranking:
        past = [row[:n] for row, n in zip(batch.history.tolist(), batch.lengths.tolist(), strict=True)]
        self.asked.append({"past": past, "k": k, "allow": allow, "deny": deny})
        users = len(past)
        items = torch.arange(self.columns).expand(users, -1) + self.plus
        nodes = torch.tensor([[sum(row)] for row in past])
        return Ranking(items, items.float(), Cost(users, 10 * users, 0, 0, 0.5), [nodes] * self.depths)


BATCH = UserRows(torch.tensor([[5, 9, 2, 0], [9, -1, 0, 0], [1, 2, 3, 4], [7, 7, 7, 7]]), torch.tensor([3, 2, 4, 0]))


def test_known_items_keep_their_order_and_the_others_are_counted() -> None:
    inner = Script(2)
    ranker = KnownHistories(inner, 6)
    some = UserRows(BATCH.history[[0, 2]], BATCH.lengths[[0, 2]])
    ranking = ranker.rank(some, 2, allow=[1], deny=[[2], [3]])
    assert inner.asked == [{"past": [[5, 2], [1, 2, 3, 4]], "k": 2, "allow": [1], "deny": [[2], [3]]}]
    assert ranking.items.tolist() == [[0, 1], [0, 1]]
    assert (ranker.dropped, ranker.dropped_last) == (1, 1)
    ranker.rank(UserRows(BATCH.history[2:3], BATCH.lengths[2:3]), 2)
    assert (ranker.dropped, ranker.dropped_last) == (1, 0)
    ranker.rank(some, 2)
    assert (ranker.dropped, ranker.dropped_last) == (2, 1)


def test_who_has_no_known_item_is_named() -> None:
    ranker = KnownHistories(Script(2), 6)
    with pytest.raises(ValueError, match=r"^row 1 of the batch has no item of the catalogue in its history"):
        ranker.rank(BATCH, 2)
    assert ranker.dropped_last == 3
    with pytest.raises(ValueError, match=r"^row 0 of the batch has no item"):
        ranker.rank(UserRows(torch.zeros(1, 0, dtype=torch.int64), torch.tensor([0])), 2)


def test_the_fallback_ranks_them() -> None:
    inner, fallback = Script(2, depths=2), Script(3, plus=40)
    ranker = KnownHistories(inner, 6, fallback)
    allow, deny = torch.tensor([[0], [1], [2], [3]]), torch.tensor([4])
    ranking = ranker.rank(BATCH, 3, allow=allow, deny=deny)
    assert ranking.items.tolist() == [[0, 1, -1], [40, 41, 42], [0, 1, -1], [40, 41, 42]]
    assert ranking.scores.tolist() == [[0, 1, -math.inf], [40, 41, 42], [0, 1, -math.inf], [40, 41, 42]]
    assert [nodes.tolist() for nodes in ranking.kept] == [[[7], [-1], [10], [-1]]] * 2
    assert ranking.cost == Cost(4, 40, 0, 0, 1.0)
    assert [call["past"] for call in (*inner.asked, *fallback.asked)] == [[[5, 2], [1, 2, 3, 4]], [[], []]]
    assert [call["allow"].tolist() for call in (*inner.asked, *fallback.asked)] == [[[0], [2]], [[1], [3]]]
    assert [call["deny"].tolist() for call in (*inner.asked, *fallback.asked)] == [[4], [4]]


def test_a_batch_of_strangers_is_the_fallbacks_alone() -> None:
    inner = Script(2, depths=1)
    ranking = KnownHistories(inner, 6, Script(1)).rank(UserRows(BATCH.history[[1, 3]], BATCH.lengths[[1, 3]]), 2)
    assert inner.asked == [] and ranking.items.tolist() == [[0], [0]] and ranking.kept == []


def test_a_real_search_with_popularity_beneath(drawn: Any) -> None:
    """Unknown items change nothing for those who have known ones; the others get what is popular."""
    popular = Popularity(training=(np.array([3, 3, 1]), np.array([0, 3])), item_count=4)
    ranker = KnownHistories(drawn.guided(width=4), 4, popular)
    mixed = UserRows(torch.tensor([[8, 0], [8, 9]]), torch.tensor([2, 2]))
    ranking = ranker.rank(mixed, 4, deny=[2])
    alone = drawn.guided(width=4).rank(drawn.batch, 4, deny=[2])
    assert torch.equal(ranking.items[0], alone.items[0]) and torch.equal(ranking.scores[0], alone.scores[0])
    assert ranking.items[1].tolist() == [3, 1, 0, -1] and ranker.dropped == 3
