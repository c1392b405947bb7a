"""Searches over leaves that several items share: the leaves in order, the items of each by rank, filters on items."""

from copy import copy
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from promise.search.explanation import explained
from promise.search.protocols import Ranker, Ranking
from promise.search.rankers.best_of_n import BestOfN
from promise.search.rankers.certified import CertifiedSearch
from tests.search.oracles import DictTrie, assert_ranks, guided_search, levels_of
from tests.search.strategies import CLEAR, batches, catalogues, repeatable, restrictions
from tests.search.worlds import World, toy_world

ALL = 10**4


def rankers(world: World, weight: float, **lists: Any) -> dict[str, Ranker]:
    """Every ranker of paths, wide enough for all leaves; the last one knows no reward."""
    given = {"generator": world.generator, "trie": world.trie, **lists}
    return {
        "exhaustive": world.exhaustive(weight, **lists),
        "guided": world.guided(ALL, weight=weight, **lists),
        "best_of_n": BestOfN(ALL, 1.0, weight, **given, reward=world.reward),
        "certified": CertifiedSearch(ALL, ALL, **given),
    }


def drawn_shared(drawn: World) -> World:
    """A .33 holds items 0 and 4, of which 4 is first; C .36 holds 5, 2 and 6 in this order; B .27 item 1, D 3."""
    codes = drawn.codes[[0, 1, 2, 3, 0, 2, 2]]
    generator = copy(drawn.generator)
    generator.item_features = torch.eye(4)[[0] * 7]
    return World(codes, drawn.sizes, drawn.batch, generator, drawn.reward, np.array([5, 2, 3, 4, 1, 0, 6]))


def test_the_drawn_world(drawn: World) -> None:
    world = drawn_shared(drawn)
    for name, ranker in rankers(world, 0.0).items():
        found = ranker.rank(world.batch, 5)
        assert found.items.tolist() == [[5, 2, 6, 4, 0]], name
        expected = torch.tensor([[0.36, 0.36, 0.36, 0.33, 0.33]]).log()
        torch.testing.assert_close(found.scores, expected, msg=name)
    narrow = world.guided(1).rank(world.batch, 5)  # code 0, then A
    assert narrow.items.tolist() == [[4, 0, -1]] and [kept.tolist() for kept in narrow.kept] == [[[0]], [[0]]]
    # without C's best and all of A, B alone is below code 0
    found = world.guided(ALL, deny=[5, 0, 4], remove_seen=True).rank(world.batch, 9)
    assert found.items.tolist() == [[1, 2, 6, 3, *[-1] * (found.items.shape[1] - 4)]]
    assert found.scores[0, :4].exp().tolist() == pytest.approx([0.6, 0.36, 0.36, 0.04])


def test_explained_is_the_leaf_unless_the_item_is_denied(drawn: World) -> None:
    world = drawn_shared(drawn)
    search = world.guided(ALL, deny=[2])
    denied, other = (explained(search, world.batch, item) for item in (2, 6))
    assert [row["probability"] for row in other] == pytest.approx([0.4, 0.9])
    assert [row["probability"] for row in denied] == pytest.approx([0.4, 0.0])


@st.composite
def shared_worlds(draw: st.DrawFn) -> World:
    """Up to 30 leaves with 1 to 4 items each, which stand in any order."""
    leaves, sizes = draw(catalogues())
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    codes = rng.permutation(np.repeat(leaves, rng.integers(1, 5, size=len(leaves)), axis=0))
    batch = draw(batches(len(codes)))
    return toy_world(codes, sizes, draw(st.integers(0, 2**16)), batch, 5, rng.permutation(len(codes)))


def expanded(world: World, leaves: dict[int, float], removed: set[int]) -> dict[int, float]:
    """Scores of the items that are left at leaves, which are known by an item each, in the order of a ranking."""
    found: dict[int, float] = {}
    assert world.ranks is not None
    for known in sorted(leaves, key=lambda item: -leaves[item]):
        here = [item for item in range(world.items) if world.paths[item] == world.paths[known]]
        found |= {item: leaves[known] for item in sorted(here, key=lambda i: world.ranks[i]) if item not in removed}
    return found


def assert_first(ranking: Ranking, user: int, expected: dict[int, float], k: int) -> None:
    assert ranking.items.shape[1] >= min(k, len(expected))
    assert_ranks(ranking, user, dict(list(expected.items())[:k]))


@settings(repeatable, max_examples=60)
@given(shared_worlds(), st.sampled_from([0.0, 0.4, 1.0]), st.integers(1, 40), st.data())
def test_every_ranker_expands_the_leaves_in_order(world: World, weight: float, k: int, data: st.DataObject) -> None:
    always, removed = data.draw(restrictions(world))
    for name, ranker in rankers(world, weight, **always).items():
        found = ranker.rank(world.batch, k)
        for user, without in enumerate(removed):
            leaves = world.slow_exhaustive(user, 0.0 if name == "certified" else weight, 1.0, without)
            scores = sorted(leaves.values())
            assume(all(after - before > CLEAR for before, after in pairwise(scores)))
            assert_first(found, user, expanded(world, leaves, without), k)


@settings(repeatable, max_examples=60)
@given(shared_worlds(), st.integers(1, 6), st.integers(1, 3), st.sampled_from([0.0, 0.4, 1.0]), st.data())
def test_narrow_beams_expand_what_they_keep(world: World, width: int, expansion: int, weight: float, data: Any) -> None:
    always, removed = data.draw(restrictions(world))
    dials = {"width": width, "expansion": expansion, "weight": weight, "rerank": False}
    found = world.guided(**dials, **always, max_bytes=1).rank(world.batch, 7)
    for user, without in enumerate(removed):
        trie = DictTrie(world.paths, without=without)
        judge = partial(world.judge, user)
        slow = guided_search(trie, world.say(user), judge, levels_of(dials, world.levels))
        assume(slow.gap > CLEAR)
        assert_first(found, user, expanded(world, slow.scores, without), 7)


def test_ranks_change_nothing_where_no_two_items_share_a_leaf(worlds: list[World]) -> None:
    for world in worlds[:30]:
        ranked = replace(world, ranks=np.arange(world.items)[::-1].copy())
        lists = {"remove_seen": True, "deny": [0]}
        others = rankers(ranked, 0.4, **lists)
        for name, plain in rankers(world, 0.4, **lists).items():
            expected, found = (each.rank(world.batch, 5) for each in (plain, others[name]))
            assert torch.equal(expected.items, found.items) and torch.equal(expected.scores, found.scores)
            assert replace(expected.cost, seconds=0) == replace(found.cost, seconds=0)
