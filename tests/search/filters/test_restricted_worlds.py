"""Searches that may return only some items: in every random world equal to a catalogue without the others."""

import math
from functools import partial
from typing import Any

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from promise.ids.trie import Trie
from promise.search.protocols import UserRows
from tests.search.oracles import DictTrie, assert_ranks, exhaustive_scores, guided_search, levels_of, nearest
from tests.search.strategies import CLEAR, dials, repeatable, worlds
from tests.search.worlds import World

Lists = dict[str, Tensor | None]


@st.composite
def item_lists(draw: st.DrawFn, items: int, users: int | None) -> Lists:
    """Lists `allow` and `deny`, or None: one for all, or with `users` one for each, -1 where theirs is shorter."""
    lists: Lists = {}
    for name in ("allow", "deny"):
        if users is not None and draw(st.booleans()):
            width = draw(st.integers(1, 6))
            row = st.lists(st.integers(-1, items - 1), min_size=width, max_size=width)
            lists[name] = torch.tensor(draw(st.lists(row, min_size=users, max_size=users)))
        else:
            one = draw(st.none() | st.lists(st.integers(0, items - 1), min_size=1, max_size=12))
            lists[name] = None if one is None else torch.tensor(one)
    return lists


def removed_by(world: World, user: int, remove_seen: bool, *given: Lists) -> set[int]:
    """What the user may not be given, set by set."""
    left = set(range(world.items)) - (set(world.past(user)) if remove_seen else set())
    for lists in given:
        own = {n: (of if of.dim() == 1 else of[user]).tolist() for n, of in lists.items() if of is not None}
        left &= set(own.get("allow", left))
        left -= set(own.get("deny", ()))
    return set(range(world.items)) - left


@st.composite
def restrictions(draw: st.DrawFn, world: World) -> tuple[dict[str, Any], Lists, list[set[int]]]:
    """What a ranker is made with, what a call is made with, and what that takes from each user."""
    always, call = draw(item_lists(world.items, None)), draw(item_lists(world.items, len(world.batch.lengths)))
    seen = draw(st.booleans())
    removed = [removed_by(world, user, seen, always, call) for user in range(len(world.batch.lengths))]
    return {**always, "remove_seen": seen}, call, removed


@settings(repeatable, max_examples=150)
@given(worlds(), st.data())
def test_guided_search_of_what_is_permitted(world: World, data: st.DataObject) -> None:
    chosen, (always, call, removed) = data.draw(dials(world.levels)), data.draw(restrictions(world))
    ranking = world.guided(**chosen, **always).rank(world.batch, 40, **call)
    for user, without in enumerate(removed):
        trie, levels = DictTrie(world.paths, without), levels_of(chosen, world.levels)
        found = guided_search(trie, world.say(user), partial(world.judge, user), levels, chosen["temperature"])
        assume(found.gap > CLEAR)
        assert_ranks(ranking, user, found.scores)
        assert [set(nodes[user].tolist()) - {-1} for nodes in ranking.kept] == [
            {world.places[path] for path in paths} for paths in found.kept
        ]


@settings(repeatable, max_examples=100)
@given(worlds(), st.sampled_from([0.0, 0.4, 1.0]), st.data())
def test_exhaustive_search_of_what_is_permitted(world: World, weight: float, data: st.DataObject) -> None:
    always, call, removed = data.draw(restrictions(world))
    ranking = world.exhaustive(weight, **always).rank(world.batch, 40, **call)
    for user, without in enumerate(removed):
        trie = DictTrie(world.paths, without)
        scores = exhaustive_scores(trie, world.say(user), partial(world.judge, user), weight)
        assume(nearest(scores.values()) > CLEAR)
        assert_ranks(ranking, user, scores)


@settings(repeatable, max_examples=100)
@given(worlds(), st.integers(1, 40), st.data())
def test_a_restricted_search_is_the_search_of_a_trie_rebuilt_for_each_user(
    world: World, width: int, data: st.DataObject
) -> None:
    always, call, removed = data.draw(restrictions(world))
    ranking = world.guided(width, **always).rank(world.batch, 40, **call)
    for user, without in enumerate(removed):
        left = torch.tensor(sorted(set(range(world.items)) - without), dtype=torch.int64)
        if not len(left):
            assert (ranking.items[user] == -1).all() and (ranking.scores[user] == -math.inf).all()
            continue
        alone = UserRows(world.batch.history[[user]], world.batch.lengths[[user]])
        rebuilt = world.guided(width, trie=Trie(world.codes[left.numpy()], world.sizes)).rank(alone, 40)
        count = rebuilt.items.shape[1]
        torch.testing.assert_close(ranking.scores[user, :count], rebuilt.scores[0], rtol=1e-4, atol=1e-4)
        assume(nearest(rebuilt.scores[0].tolist()) > CLEAR)
        assert ranking.items[user, :count].tolist() == left[rebuilt.items[0]].tolist()
        assert (ranking.items[user, count:] == -1).all()
