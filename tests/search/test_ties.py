"""Ties: items of equal score stand in the order of their numbers, in every ranker."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from promise.search.protocols import Ranker, UserRows
from promise.search.rankers.best_of_n import BestOfN
from promise.search.rankers.counts import CoVisit, Popularity
from promise.search.rankers.sasrec import SASRecRanker
from promise.search.scoring import best_items
from tests.search.worlds import World, toy_world

ITEMS = 24


@pytest.fixture(scope="module")
def flat() -> World:
    """Twenty-four items in random places of a tree, networks that find all of them alike."""
    codes = np.random.default_rng(0).permutation(np.stack(np.unravel_index(np.arange(ITEMS), (4, 3, 2)), 1))
    world = toy_world(codes, (4, 3, 2), 0, UserRows(torch.tensor([[3, 1], [2, 0]]), torch.tensor([2, 1])), history=5)
    for table in (*world.generator.tables, *world.reward.tables):
        table.zero_()
    return world


class Same:
    """Scores that tie: every item by its number modulo three."""

    history, flops = 4, type("Flops", (), {"encode": lambda *_: 0, "score": lambda *_: 0})()

    def encode(self, history: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return lengths[:, None].float()

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        return (torch.arange(ITEMS) % 3).expand(len(users), -1).float()


def rankers(world: World) -> dict[str, Ranker]:
    training = (np.array([*range(ITEMS), 5, 5, 7, 7]), np.array([0, ITEMS, ITEMS + 4]))
    networks: dict[str, Any] = {"generator": world.generator, "reward": world.reward, "trie": world.trie}
    return {
        "exhaustive": world.exhaustive(0.5),
        "guided": world.guided(ITEMS, weight=0.5),
        "narrow": world.guided(7, expansion=100, weight=[0, 0, 1]),
        "best_of_n": BestOfN(50, 1.0, 0.5, **networks),
        "popularity": Popularity(training=training, item_count=ITEMS),
        "co_visit": CoVisit(30, 0.0, 1.0, 0.0, None, training=training, item_count=ITEMS),
        "sasrec": SASRecRanker(sasrec=Same(), item_count=ITEMS),
    }


@pytest.mark.parametrize("name", ["exhaustive", "guided", "narrow", "best_of_n", "popularity", "co_visit", "sasrec"])
@pytest.mark.parametrize("k", [1, 5, 9, ITEMS])
def test_equal_scores_are_in_item_order(flat: World, name: str, k: int) -> None:
    ranking = rankers(flat)[name].rank(flat.batch, k)
    for items, scores in zip(ranking.items.tolist(), ranking.scores.tolist(), strict=True):
        pairs = [(-round(score, 5), item) for item, score in zip(items, scores, strict=True) if item >= 0]
        assert pairs == sorted(pairs)
        if name in ("exhaustive", "guided", "best_of_n"):
            assert items == list(range(k))
        if name == "sasrec":
            assert items == sorted(range(ITEMS), key=lambda item: (-(item % 3), item))[:k]


@pytest.mark.parametrize("seed", range(30))
def test_best_items_are_those_of_a_stable_sort(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, k = int(rng.integers(1, 12)), int(rng.integers(1, 14))
    scores = torch.from_numpy(rng.choice([0.0, -0.0, 1.0, 2.0, -math.inf], size=(5, count))).float()
    top, items = best_items(scores, k)
    assert top.shape == items.shape == (5, min(k, count))
    for row, values, found in zip(scores.tolist(), top.tolist(), items.tolist(), strict=True):
        order = sorted(range(count), key=lambda item: (-row[item], item))[:k]
        assert found == [item if row[item] > -math.inf else -1 for item in order]
        assert values == [row[item] for item in order]
    assert best_items(torch.tensor([[1.0, math.nan, 2.0]]), 2)[0][0, 0].isnan()


def test_the_order_of_users_and_the_targets_of_others_move_no_ranking(flat: World) -> None:
    """Counts of the training parts alone, over items numbered by id."""
    rng = np.random.default_rng(1)
    users = [rng.integers(ITEMS, size=rng.integers(2, 7)) for _ in range(30)]

    def ranked(order: np.ndarray) -> list[torch.Tensor]:
        chosen = [users[user] for user in order]
        training = (np.concatenate(chosen), np.cumsum([0, *map(len, chosen)]))
        made = (Popularity(training=training, item_count=ITEMS),
                CoVisit(3, 1.0, 0.5, 0.5, None, training=training, item_count=ITEMS))  # fmt: skip
        return [ranker.rank(flat.batch, 9).items for ranker in made]

    first = ranked(np.arange(30))
    for _ in range(5):
        assert all(map(torch.equal, ranked(rng.permutation(30)), first))
