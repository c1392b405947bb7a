"""Searches in hundreds of random worlds, toy and real networks, against the same searches in plain Python."""

from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import pad

from promise.search.protocols import UserRows
from tests.search.oracles import DictTrie, Found, assert_ranks, exhaustive_scores, guided_search, levels_of, nearest
from tests.search.strategies import CLEAR, dials, repeatable, restrictions, worlds
from tests.search.worlds import World

ALL = 40  # more than there are items


def users_of(world: World) -> Iterable[int]:
    return range(len(world.batch.lengths))


def slow_guided(world: World, user: int, chosen: dict[str, Any], removed: Collection[int]) -> Found:
    """The user's search in plain Python; an example in which rounding could decide is passed over."""
    trie, levels = DictTrie(world.paths, without=removed), levels_of(chosen, world.levels)
    found = guided_search(trie, world.say(user), partial(world.judge, user), levels, chosen["temperature"])
    assume(found.gap > CLEAR)
    return found


def slow_exhaustive(world: World, user: int, weight: float, removed: Collection[int]) -> dict[int, float]:
    """The score of every item in plain Python; an example in which rounding could decide is passed over."""
    trie = DictTrie(world.paths, without=removed)
    scores = exhaustive_scores(trie, world.say(user), partial(world.judge, user), weight)
    assume(nearest(scores.values()) > CLEAR)
    return scores


@settings(repeatable, max_examples=100)
@given(worlds(), st.data())
def test_guided_search_is_the_textbooks(world: World, data: st.DataObject) -> None:
    chosen, (always, removed) = data.draw(dials(world.levels)), data.draw(restrictions(world))
    ranking = world.guided(**chosen, **always).rank(world.batch, ALL)
    for user, without in enumerate(removed):
        found = slow_guided(world, user, chosen, without)
        assert_ranks(ranking, user, found.scores)
        kept = [set(nodes[user].tolist()) - {-1} for nodes in ranking.kept]
        assert kept == [{world.places[path] for path in paths} for paths in found.kept]


@settings(repeatable, max_examples=100)
@given(worlds(), st.sampled_from([0.0, 0.4, 1.0]), st.data())
def test_exhaustive_search_is_the_sum_over_every_path(world: World, weight: float, data: st.DataObject) -> None:
    always, removed = data.draw(restrictions(world))
    ranking = world.exhaustive(weight, **always).rank(world.batch, ALL)
    for user, without in enumerate(removed):
        assert_ranks(ranking, user, slow_exhaustive(world, user, weight, without))


@settings(repeatable, max_examples=50)
@given(worlds(), st.data())
def test_a_perfect_reward_with_one_beam_finds_the_target(world: World, data: st.DataObject) -> None:
    targets = torch.tensor([data.draw(st.integers(0, world.items - 1)) for _ in users_of(world)])

    class Perfect:
        flops, path_bytes = world.reward.flops, 4

        def start(self, users: Any) -> None:
            return None

        def score(self, context: None, depth: int, nodes: Tensor) -> Tensor:
            return (nodes == world.trie.item_nodes(depth)[targets][:, None]).float()

    search = world.guided(1, expansion=1000, weight=1.0, reward=Perfect())
    assert search.rank(world.batch, 1).items[:, 0].tolist() == targets.tolist()


@settings(repeatable, max_examples=40)
@given(worlds(), st.data())
def test_any_split_and_order_of_a_batch_gives_the_same_answer(world: World, data: st.DataObject) -> None:
    chosen, remove_seen = data.draw(dials(world.levels)), data.draw(st.booleans())
    for user in users_of(world):
        slow_guided(world, user, chosen, world.past(user) if remove_seen else ())
    search, (history, lengths) = world.guided(**chosen, remove_seen=remove_seen), world.batch
    whole = search.rank(world.batch, ALL)
    order = data.draw(st.permutations(list(users_of(world))))
    first = data.draw(st.integers(0, len(order)))
    costs = []
    for users in filter(None, (order[:first], order[first:])):
        width = data.draw(st.integers(int(lengths[users].max()), history.shape[1] + 2))
        padded = pad(history[users], (0, 2), value=world.items - 1)[:, :width]
        part = search.rank(UserRows(padded, lengths[users]), ALL)
        costs.append(part.cost)
        torch.testing.assert_close(part.scores, whole.scores[users], rtol=1e-4, atol=1e-4)
        assert torch.equal(part.items, whole.items[users])
    assert sum(cost.flops for cost in costs) == whole.cost.flops
