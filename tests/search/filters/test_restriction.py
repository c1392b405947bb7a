"""Restricted searches against tries rebuilt without the items, and against plain sets."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from promise.search.filters.restriction import Restrictions, hits, paths_to


class Lists:
    """Random lists over a world: for every call, for one call, for each of its users; and the items they leave."""

    def __init__(self, world: Any, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.items, self.users = world.items, len(world.batch.history)
        self.world = world
        self.always: dict[str, Any] = {"remove_seen": bool(self.rng.integers(2))}
        self.call: dict[str, Any] = {}
        for place in (self.always, self.call):
            for name in ("allow", "deny"):
                if self.rng.random() < 0.4:
                    place[name] = self.draw(name, own=place is self.call and self.rng.random() < 0.6)

    def draw(self, name: str, own: bool) -> Tensor:
        """A list with repeats and, where it does not stand first in an allow list, -1."""
        shape = (self.users, int(self.rng.integers(0 if name == "deny" else 1, self.items + 2)))
        found = torch.from_numpy(self.rng.integers(-1, self.items, size=shape if own else shape[1:]))
        if name == "allow" and not own:
            found[0] = found[0].clamp_min(0)
        return found

    def left(self, user: int) -> set[int]:
        """The items that a user may be given."""
        found = set(range(self.items))
        if self.always["remove_seen"]:
            found -= set(self.world.past(user))
        for place in (self.always, self.call):
            for name in {"allow", "deny"} & place.keys():
                items = set((place[name] if place[name].dim() == 1 else place[name][user]).tolist())
                found = found & items if name == "allow" else found - items
        return found


def test_children_lead_to_permitted_items(worlds: list[Any]) -> None:
    """At every node of every depth, asked for in any order, twice and with -1 among them."""
    for seed, world in enumerate(worlds * 3):
        lists, trie = Lists(world, seed), world.trie
        restriction = Restrictions(trie, **lists.always).of(world.batch, **lists.call)
        for depth in range(trie.levels):
            nodes = torch.from_numpy(lists.rng.integers(-1, trie.nodes[depth], size=(lists.users, 5)))
            children = trie.children_of(depth, nodes)
            below = trie.item_nodes(depth + 1)
            left = torch.zeros(lists.users, trie.nodes[depth + 1], dtype=torch.bool)
            for user in range(lists.users):
                left[user, below[list(lists.left(user))]] = True
            expected = children.valid & left[torch.arange(lists.users)[:, None, None], children.nodes]
            found = restriction.children(depth, nodes)
            assert torch.equal(found.valid, expected)
            assert torch.equal(found.nodes, children.nodes) and torch.equal(found.codes, children.codes)
            part = slice(1, 3)
            some = restriction.rows(part).children(depth, nodes[part])
            assert torch.equal(some.valid, expected[part])


def test_nothing_forbidden_costs_nothing(drawn: Any) -> None:
    free = Restrictions(drawn.trie)
    assert free.of(drawn.batch).permitted is None and not {"lists", "open"} & free.__dict__.keys()
    assert free.of(drawn.batch, deny=[3]).permitted is not None  # and tables are there from now on


def test_a_wrong_list_shows_when_the_search_is_made(drawn: Any) -> None:
    with pytest.raises(ValueError, match=r"^deny must hold items 0 \.\. 3, got 4$"):
        drawn.guided(width=1, deny=[4])
    with pytest.raises(ValueError, match=r"^allow must name at least one item, got none$"):
        drawn.exhaustive(0.0, allow=[])


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_one_item_left(worlds: list[Any], weight: float) -> None:
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


def test_drawn_world_renormalises(drawn: Any) -> None:
    for ranking in (
        drawn.guided(width=4, remove_seen=True).rank(drawn.batch, 4),
        drawn.exhaustive(0.0).rank(drawn.batch, 4, allow=[1, 2, 3]),
        drawn.guided(width=4, allow=[3, 1, 2, 1]).rank(drawn.batch, 4, deny=[[-1]]),
        drawn.exhaustive(0.0, deny=[0, -1]).rank(drawn.batch, 4, allow=[[0, 3, 2, 1]]),
    ):
        assert ranking.items.tolist()[0][:3] == [1, 2, 3] and (ranking.items[0, 3:] == -1).all()
        expected = [math.log(0.6), math.log(0.36), math.log(0.04)]  # without A all of code 0 is B's
        assert ranking.scores[0, :3].tolist() == pytest.approx(expected, abs=1e-5)


def test_items_of_other_branches_are_counted_below_them_only(drawn: Any) -> None:
    batch = type(drawn.batch)(torch.tensor([[2, 2, 3, 0]]), torch.tensor([3]))  # C, C, D; the 0 is padding
    seen = Restrictions(drawn.trie, remove_seen=True).of(batch)
    root = torch.zeros(1, 1, dtype=torch.int64)
    assert seen.children(0, root).valid.tolist() == [[[True, False]]]
    both = torch.tensor([[1, 0]])
    valid = seen.children(1, both).valid
    assert valid.tolist() == [[[False, False], [True, True]]]


def test_paths_and_hits_by_hand(drawn: Any) -> None:
    paths = paths_to(drawn.trie, torch.tensor([[-1, 1, 2]]))
    assert [nodes.tolist() for nodes in paths] == [[[-1, 0, 0]], [[-1, 0, 1]], [[-1, 1, 2]]]
    nodes = torch.tensor([[1, 0, 1]])
    children = drawn.trie.children_of(1, nodes)
    found = hits(nodes, children, paths[1], paths[2], torch.tensor([[True, False, True]]))
    assert found.tolist() == [[[True, False], [False, False], [True, False]]]
