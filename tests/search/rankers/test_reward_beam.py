"""Beam search by the reward alone is guided search with λ = 1 and all children as candidates, without a decoder."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from promise.search.protocols import UserRows, split
from promise.search.rankers.reward_beam import RewardBeam
from tests.search.strategies import repeatable, restrictions, worlds
from tests.search.toys import PoisonedRewards
from tests.search.worlds import World, toy_world


def reward_beam(world: World, width: Any, **offers: Any) -> RewardBeam:
    return RewardBeam(width, **{"generator": world.generator, "reward": world.reward, "trie": world.trie, **offers})


@settings(repeatable, max_examples=100)
@given(worlds(most=60), st.integers(1, 70), st.integers(1, 12), st.data())
def test_it_is_guided_search_over_all_children(world: World, width: int, k: int, data: st.DataObject) -> None:
    always, _ = data.draw(restrictions(world))
    found = reward_beam(world, width, **always).rank(world.batch, k)
    guided = world.guided(width, candidates=10**6, weight=1.0, **always).rank(world.batch, k)
    assert torch.equal(found.items, guided.items) and torch.equal(found.scores, guided.scores)
    for mine, theirs in zip(found.kept, guided.kept, strict=True):
        assert [set(row) - {-1} for row in mine.tolist()] == [set(row) - {-1} for row in theirs.tolist()]
    assert found.cost.decoder_tokens == 0 and found.cost.prm_paths <= guided.cost.prm_paths
    if width >= world.items:
        exact = world.exhaustive(1.0, **always).rank(world.batch, k)
        there = exact.items[:, : found.items.shape[1]]
        assert torch.equal(found.items, there)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_nobody_is_judged_for_the_sake_of_others(width: int) -> None:
    """Code 0 has twelve items below it, the others one each: some users have something to cut where others have not."""
    codes = np.array([[a, b, c] for a in range(3) for b in range(1 if a else 3) for c in range(1 if a else 4)])
    users = UserRows(torch.arange(len(codes))[:, None], torch.ones(len(codes), dtype=torch.int64))
    for seed in range(5):
        search = reward_beam(toy_world(codes, (3, 3, 4), seed, users, history=1), width)
        alone = [search.rank(row, 3) for _, row in split(users, 1)]
        together = search.rank(users, 3)
        assert together.cost.prm_paths == sum(ranking.cost.prm_paths for ranking in alone)
        assert together.items.tolist() == [ranking.items[0].tolist() for ranking in alone]


def test_a_nan_is_the_rewards(drawn: Any) -> None:
    poisoned = PoisonedRewards(drawn.reward, {(2, 0): slice(0, 1)}, math.nan)
    with pytest.raises(ValueError, match=r"^the reward model gave NaN at level 2 for row 0 of the batch$"):
        reward_beam(drawn, 2, reward=poisoned).rank(drawn.batch, 3)


def test_the_drawn_world(drawn: Any) -> None:
    """Code 1 is worth more than code 0, D below it more than C; a beam of two asks about all four items."""
    found = reward_beam(drawn, 1).rank(drawn.batch, 3)
    assert (found.items.tolist(), found.scores.tolist()) == ([[3]], [[3.0]])
    assert (found.cost.users, found.cost.decoder_tokens, found.cost.prm_paths) == (1, 0, 4)
    assert found.cost.flops == 100 + 10 + 3 * 4
    wide = reward_beam(drawn, 2).rank(drawn.batch, 3)
    assert (wide.items.tolist(), wide.cost.prm_paths) == ([[3, 1]], 4)  # both codes stay unasked
    with pytest.raises(ValueError, match=r"^search\.width has 3 entries, the semantic IDs have 2 levels$"):
        reward_beam(drawn, [1, 2, 3])
    with pytest.raises(ValueError, match="needs a reward model, got a generator alone"):
        reward_beam(drawn, 2, reward=None)
