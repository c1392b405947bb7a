"""Removal of a user's items against tries rebuilt without them."""

import math
from typing import Any

import pytest
import torch

from promise.ids.trie import Trie
from promise.search.seen import SeenFilter, bans, first_times, real_items


def rebuilt(world: Any, user: int, gone: set[int]) -> tuple[Any, list[int]]:
    """The user's own world whose catalogue never held the items; and the old number of each of its items."""
    left = [item for item in range(world.items) if item not in gone]
    one = slice(user, user + 1)
    small = world.with_batch(world.batch.history[one], world.batch.lengths[one])
    small.trie = Trie(world.codes[left], world.sizes)
    nodes = [world.trie.node_of(small.trie.prefixes(depth)) for depth in range(world.levels + 1)]
    small.reward = type(world.reward)([t[n] for t, n in zip(world.reward.tables, nodes, strict=True)])
    return small, left


@pytest.mark.parametrize(
    "dials",
    [
        {"width": 3},
        {"width": 2, "expansion": 3, "weight": 1.0},
        {"width": 3, "expansion": 2, "weight": 0.5},
        {"width": 2, "candidates": 5, "weight": 1.0, "rerank": True},
    ],
)
def test_equals_a_trie_without_the_items(worlds: list[Any], dials: dict[str, Any]) -> None:
    for world in worlds:
        removed = world.guided(**dials, remove_seen=True).rank(world.batch, 3)
        for user in range(len(world.batch.history)):
            gone = set(world.past(user))
            items = [item for item in removed.items[user].tolist() if item >= 0]
            scores = removed.scores[user, : len(items)]
            assert not gone & set(items)
            if len(gone) == world.items:
                assert items == [] and (removed.scores[user] == -math.inf).all()
                continue
            small, left = rebuilt(world, user, gone)
            expected = small.guided(**dials).rank(small.batch, 3)
            real = [item for item in expected.items[0].tolist() if item >= 0]
            assert items == [left[item] for item in real]
            torch.testing.assert_close(scores, expected.scores[0, : len(real)])


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_all_items_removed_but_one(worlds: list[Any], weight: float) -> None:
    for world in worlds:
        lonely = world.items // 2
        past = [item for item in range(world.items) if item != lonely] * 2 or [lonely]
        full = world.with_batch(torch.tensor([past]), torch.tensor([len(past)]))
        wanted = [] if past == [lonely] else [lonely]
        for search in (
            full.guided(width=4, expansion=2, weight=weight, remove_seen=True),
            full.exhaustive(weight, remove_seen=True),
        ):
            ranking = search.rank(full.batch, 4)
            assert [item for item in ranking.items[0].tolist() if item >= 0] == wanted
            assert not ranking.scores.isnan().any()
            assert (ranking.scores[0] > -math.inf).tolist() == [item >= 0 for item in ranking.items[0].tolist()]


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_all_items_removed(worlds: list[Any], weight: float) -> None:
    for world in worlds[:40]:
        past = list(range(world.items))
        full = world.with_batch(torch.tensor([past, past]), torch.tensor([len(past), 1]))
        for search in (
            full.guided(width=4, expansion=2, weight=weight, remove_seen=True),
            full.exhaustive(weight, remove_seen=True),
        ):
            ranking = search.rank(full.batch, 4)
            assert (ranking.items[0] == -1).all() and (ranking.scores[0] == -math.inf).all()
            assert (ranking.items[1] >= 0).sum() == min(4, world.items - 1)  # the neighbour loses its own item only


def test_drawn_world_renormalises(drawn: Any) -> None:
    for search in (drawn.guided(width=4, remove_seen=True), drawn.exhaustive(0.0, remove_seen=True)):
        ranking = search.rank(drawn.batch, 4)  # the past is A, so B takes all of code 0
        assert ranking.items.tolist()[0][:3] == [1, 2, 3] and (ranking.items[0, 3:] == -1).all()
        expected = [math.log(0.6), math.log(0.36), math.log(0.04)]
        assert ranking.scores[0, :3].tolist() == pytest.approx(expected, abs=1e-5)


def test_items_of_other_branches_are_counted_below_them_only(drawn: Any) -> None:
    seen = SeenFilter(drawn.trie)
    batch = type(drawn.batch)(torch.tensor([[2, 2, 3, 0]]), torch.tensor([3]))  # C, C, D; the 0 is padding
    root = torch.zeros(1, 1, dtype=torch.int64)
    assert seen(0, root, drawn.trie.children_of(0, root), batch).valid.tolist() == [[[True, False]]]
    both = torch.tensor([[1, 0]])
    valid = seen(1, both, drawn.trie.children_of(1, both), batch).valid
    assert valid.tolist() == [[[False, False], [True, True]]]


def test_padding_is_no_item(drawn: Any) -> None:
    batch = type(drawn.batch)(torch.tensor([[3, 0, 0], [1, 1, 3]]), torch.tensor([1, 3]))
    assert real_items(batch).tolist() == [[True, False, False], [True, True, True]]
    assert first_times(batch).tolist() == [[True, False, False], [True, False, True]]
    assert bans(batch).tolist() == [[-math.inf, 0.0, 0.0], [-math.inf] * 3]


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_an_empty_history_removes_nothing(drawn: Any, weight: float) -> None:
    empty = type(drawn.batch)(torch.tensor([[0]]), torch.tensor([0]))
    for search in (
        drawn.guided(width=4, weight=weight, remove_seen=True),
        drawn.exhaustive(weight, remove_seen=True),
    ):
        assert sorted(search.rank(empty, 4).items[0].tolist()) == [0, 1, 2, 3]
