"""Ranking by item scores against a sort of all of them: seen, allowed and denied items, parts, cost, NaN."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from promise.search.protocols import UserRows
from promise.search.rankers.sasrec import SASRecRanker
from tests.search.oracles import permitted

ITEMS, USERS = 20, 5


class Flops:
    """FLOPs that tell what was asked: 1,000 an item of the histories, 1 a score."""

    def encode(self, history: Any) -> int:
        return 1000 * sum(history)

    def score(self, history: Any, items: int) -> int:
        return len(history) * items


class Table:
    """Scores that follow from the last item and the length, as a table."""

    history = 4
    flops = Flops()

    def __init__(self, seed: int = 0) -> None:
        self.table = torch.randn(ITEMS, ITEMS, generator=torch.Generator().manual_seed(seed))

    def encode(self, history: Tensor, lengths: Tensor) -> Tensor:
        return torch.stack([history[torch.arange(len(history)), lengths - 1], lengths], 1)

    def scores(self, users: Tensor) -> Tensor:
        return self.table[users[:, 0]].roll(1, 1) + self.table[users[:, 1]]


def batch_of(seed: int) -> UserRows:
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 8, (USERS,), generator=random)
    return UserRows(torch.randint(ITEMS, (USERS, 7), generator=random), lengths)


def slow(table: Table, batch: UserRows, user: int, k: int, left: set[int]) -> list[tuple[float, int]]:
    """The k best of a sort of the permitted items."""
    row = table.scores(table.encode(batch.history, batch.lengths))[user].tolist()
    return sorted(((row[item], item) for item in left), reverse=True)[:k]


@pytest.mark.parametrize("remove_seen", [False, True])
@pytest.mark.parametrize("at_once", [1, 2 * ITEMS, 1 << 24])
def test_equals_a_sort_of_all_items(at_once: int, remove_seen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SASRecRanker, "scores_at_once", at_once)
    rng = np.random.default_rng(0)
    for seed in range(20):
        table, batch = Table(seed), batch_of(seed)
        always = {"allow": rng.integers(ITEMS, size=15), "deny": rng.integers(-1, ITEMS, size=2)}
        for given in ({}, always):
            ranker = SASRecRanker(sasrec=table, item_count=ITEMS, remove_seen=remove_seen, **given)
            for k in (1, 6, ITEMS + 5):
                ranking = ranker.rank(batch, k)
                width = min(k, ITEMS)
                assert ranking.items.shape == ranking.scores.shape == (USERS, width)
                for user in range(USERS):
                    seen = batch.history[user, : batch.lengths[user]].tolist() if remove_seen else ()
                    expected = slow(table, batch, user, k, permitted(ITEMS, seen, given))
                    absent = width - len(expected)
                    assert ranking.items[user].tolist() == [item for _, item in expected] + [-1] * absent
                    assert ranking.scores[user].tolist() == [score for score, _ in expected] + [-math.inf] * absent


def test_the_cost_counts_what_the_network_reads() -> None:
    batch = UserRows(torch.zeros(3, 7, dtype=torch.int64), torch.tensor([1, 4, 7]))
    cost = SASRecRanker(sasrec=Table(), item_count=ITEMS).rank(batch, 2).cost
    assert (cost.users, cost.flops) == (3, 1000 * (1 + 4 + 4) + 3 * ITEMS)
    assert (cost.decoder_tokens, cost.prm_paths) == (0, 0) and cost.seconds > 0


def test_nan_is_refused() -> None:
    table, batch = Table(), batch_of(0)
    table.table[batch.history[2, batch.lengths[2] - 1], 3] = math.nan
    with pytest.raises(ValueError, match=r"^the network gave NaN for row 2 of the batch$"):
        SASRecRanker(sasrec=table, item_count=ITEMS).rank(UserRows(batch.history[:3], batch.lengths[:3]), 2)


def test_an_empty_batch_is_refused() -> None:
    empty = UserRows(torch.zeros(0, 3, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"^a batch must hold at least one user, got 0$"):
        SASRecRanker(sasrec=Table(), item_count=ITEMS).rank(empty, 2)
