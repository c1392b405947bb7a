"""Cheap controls of guided search: the last level alone, reciprocal rank fusion, pointwise mutual information."""

import math
from collections import Counter
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from promise.search.rankers.pmi import PMISearch
from tests.search.oracles import DictTrie, Path, assert_ranks, guided_search, nearest
from tests.search.strategies import CLEAR, TOY, repeatable, restrictions, worlds
from tests.search.worlds import World

ALL = 40  # more than there are items


@settings(repeatable, max_examples=30)
@given(worlds(TOY), st.integers(1, 4))
def test_the_last_level_alone_is_a_weight_of_0_above(world: World, width: int) -> None:
    dials: dict[str, Any] = {"width": width, "expansion": 3}
    spread = world.guided(**dials, weight=[0.0] * (world.levels - 1) + [0.5]).rank(world.batch, ALL)
    found = world.guided(**dials, weight=0.5, reward_levels="last").rank(world.batch, ALL)
    assert torch.equal(found.items, spread.items) and found.cost.flops == spread.cost.flops


def fused(world: World, user: int, removed: set[int], width: int, candidates: int, constant: int) -> list[int]:
    """Fusion in plain Python with exact fractions; ties go to the lower node, in the answer to the lower item."""
    trie, judge = DictTrie(world.paths, without=removed), partial(world.judge, user)
    beams: dict[Path, float] = {(): 0.0}
    for depth in range(world.levels):
        drafts = {p: v + m for path, v in beams.items() for p, m in trie.extend(path, world.say(user)).items()}
        order = sorted(drafts, key=lambda p: -drafts[p])
        assume(nearest(drafts.values()) > CLEAR and nearest(map(judge, drafts)) > CLEAR)
        order = order[:candidates]
        by_reward = sorted(order, key=lambda p: -judge(p))
        scores = {p: Fraction(1, constant + i) + Fraction(1, constant + by_reward.index(p) + 1)
                  for i, p in enumerate(order, start=1)}  # fmt: skip
        last = depth == world.levels - 1
        if len(order) > width or last:
            order.sort(key=lambda p: (-scores[p], world.paths.index(p) if last else world.places[p]))
        beams = {p: drafts[p] for p in order[:width]}
    return [world.paths.index(path) for path in beams]


@settings(repeatable, max_examples=60)
@given(worlds(), st.integers(1, 5), st.integers(2, 4), st.sampled_from([1, 5]), st.data())
def test_fusion_is_the_textbooks(world: World, width: int, times: int, constant: int, data: st.DataObject) -> None:
    always, removed = data.draw(restrictions(world))
    search = world.guided(width, expansion=times, weight=0.5, fusion=constant, **always)
    ranking = search.rank(world.batch, ALL)
    for user, without in enumerate(removed):
        expected = fused(world, user, without, width, width * times, constant)
        assert [item for item in ranking.items[user].tolist() if item >= 0] == expected


def pmi(world: World, training: list[int], width: int, expansion: int, beta: float, **lists: Any) -> PMISearch:
    given = {"generator": world.generator, "trie": world.trie, **lists}
    return PMISearch(
        width,
        expansion,
        beta,
        0.5,
        training=(np.array(training, dtype=np.int64), np.array([0, len(training)])),
        **given,
    )


def test_pmi_by_hand(drawn: Any) -> None:
    """A = (0, 0) .33, B = (0, 1) .27, C = (1, 0) .36, D = (1, 2) .04; smoothed shares .5, .3, .1, .1 of training."""
    ranking = pmi(drawn, [0, 0, 1], 4, 1, 1.0).rank(drawn.batch, 4)  # (2.5, 1.5, .5, .5) / 5
    lifts = [math.log(0.36 / 0.1), math.log(0.27 / 0.3), math.log(0.33 / 0.5), math.log(0.04 / 0.1)]
    assert ranking.items.tolist() == [[2, 1, 0, 3]]
    assert ranking.scores[0].tolist() == pytest.approx([lift / 2 for lift in lifts], abs=1e-5)
    assert pmi(drawn, [0, 0, 1], 1, 2, 1.0).rank(drawn.batch, 4).items.tolist() == [[2]]  # code 1: .4 / .2
    plain, found = drawn.guided(4).rank(drawn.batch, 4), pmi(drawn, [0], 4, 3, 0.0).rank(drawn.batch, 4)
    assert torch.equal(found.items, plain.items) and found.cost.flops == plain.cost.flops == ranking.cost.flops
    assert ranking.cost.prm_paths == 0


@settings(repeatable, max_examples=50)
@given(worlds(), st.integers(1, 5), st.integers(1, 4), st.sampled_from([0.0, 0.5, 2.0]), st.data())
def test_pmi_is_the_textbooks(world: World, width: int, times: int, beta: float, data: st.DataObject) -> None:
    training = data.draw(st.lists(st.integers(0, world.items - 1), max_size=20))
    always, removed = data.draw(restrictions(world))
    ranking = pmi(world, training, width, times, beta, **always).rank(world.batch, ALL)
    counts = Counter(training)
    total = len(training) + 0.5 * world.items

    def rarity(path: Path) -> float:
        below = [item for item, other in enumerate(world.paths) if other[: len(path)] == path]
        return -math.log(sum(counts[item] + 0.5 for item in below) / total)

    for user, without in enumerate(removed):
        levels = [(width, width * times, beta / (1 + beta))] * world.levels
        found = guided_search(DictTrie(world.paths, without=without), world.say(user), rarity, levels)
        assume(found.gap > CLEAR)
        assert_ranks(ranking, user, found.scores)
