"""Restricted searches against tries rebuilt without the items, and against plain sets."""

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from promise.search.filters.restriction import Restrictions, hits, paths_to
from tests.search.strategies import TOY, repeatable, restrictions
from tests.search.strategies import worlds as toy_worlds
from tests.search.worlds import World


@settings(repeatable, max_examples=50)
@given(toy_worlds(TOY), st.integers(0, 99), st.data())
def test_children_lead_to_permitted_items(world: World, seed: int, data: st.DataObject) -> None:
    """At nodes of every depth, asked for in any order, twice and with -1 among them."""
    always, removed = data.draw(restrictions(world))
    trie, users = world.trie, len(removed)
    restriction = Restrictions(trie, **always).of(world.batch)
    for depth in range(trie.levels):
        nodes = torch.from_numpy(np.random.default_rng(seed).integers(-1, trie.nodes[depth], size=(users, 5)))
        children, below = trie.children_of(depth, nodes), trie.item_nodes(depth + 1)
        left = torch.zeros(users, trie.nodes[depth + 1], dtype=torch.bool)
        for user, without in enumerate(removed):
            left[user, below[sorted(set(range(world.items)) - without)]] = True
        expected = children.valid & left[torch.arange(users)[:, None, None], children.nodes]
        found = restriction.children(depth, nodes)
        assert torch.equal(found.valid, expected)
        assert torch.equal(found.nodes, children.nodes) and torch.equal(found.codes, children.codes)
        assert torch.equal(restriction.rows(slice(1, 3)).children(depth, nodes[1:3]).valid, expected[1:3])


def test_nothing_forbidden_costs_nothing(drawn: Any) -> None:
    free = Restrictions(drawn.trie)
    assert free.of(drawn.batch).permitted is None and free.lists is None


def test_paths_and_hits_by_hand(drawn: Any) -> None:
    paths = paths_to(drawn.trie, torch.tensor([[-1, 1, 2]]))
    assert [nodes.tolist() for nodes in paths] == [[[-1, 0, 0]], [[-1, 0, 1]], [[-1, 1, 2]]]
    nodes = torch.tensor([[1, 0, 1]])
    children = drawn.trie.children_of(1, nodes)
    found = hits(nodes, children, paths[1], paths[2], torch.tensor([[True, False, True]]))
    assert found.tolist() == [[[True, False], [False, False], [True, False]]]
