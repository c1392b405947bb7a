"""What every search keeps in any world: real and distinct items, NaN refused, -inf as nothing, a cost that grows."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from promise.search.protocols import Ranker, UserRows
from promise.search.rankers.best_of_n import BestOfN
from promise.search.rankers.certified import CertifiedSearch
from promise.search.rankers.reward_beam import RewardBeam
from tests.search.oracles import DictTrie, exhaustive_scores
from tests.search.strategies import TOY, dials, repeatable, toy_world, worlds
from tests.search.toys import PoisonedCodes, PoisonedRewards, ToyCodes
from tests.search.worlds import World

FAR = 1000  # wider than any catalogue here


def rankers(world: World, data: st.DataObject, **given: Any) -> Ranker:
    """Any search of this world."""
    kind = data.draw(st.sampled_from(["guided", "adaptive", "exhaustive", "best_of_n", "certified", "reward_beam"]))
    if kind == "guided":
        return world.guided(**data.draw(dials(world.levels)), **given)
    if kind == "adaptive":
        measure, width = data.draw(st.sampled_from(["entropy", "margin"])), data.draw(st.integers(1, 4))
        search = world.guided(width, expansion=3, weight=0.5, adaptive=measure, adaptive_cap=2.0, **given)
        search.calibrate([world.batch])
        return search
    if kind == "exhaustive":
        return world.exhaustive(data.draw(st.sampled_from([0.0, 0.5, 1.0])), **given)
    offers = {"generator": world.generator, "reward": world.reward, "trie": world.trie, **given}
    if kind == "certified":
        offers.pop("reward")
        return CertifiedSearch(data.draw(st.integers(1, 9)), data.draw(st.integers(1, 99)), **offers)
    if kind == "reward_beam":
        return RewardBeam(data.draw(st.integers(1, 9)), **offers)
    return BestOfN(data.draw(st.integers(1, 9)), 1.0, 0.5, **offers)


@settings(repeatable, max_examples=60)
@given(worlds(), st.data())
def test_answers_are_distinct_items_of_the_catalogue_with_falling_scores(world: World, data: st.DataObject) -> None:
    remove_seen, k = data.draw(st.booleans()), data.draw(st.integers(1, 40))
    ranking = rankers(world, data, remove_seen=remove_seen).rank(world.batch, k)
    assert ranking.items.shape == ranking.scores.shape
    assert ranking.items.shape[0] == ranking.cost.users and 1 <= ranking.items.shape[1] <= k
    assert ranking.items.dtype == torch.int64 and ranking.scores.dtype == torch.float32
    for user, (items, scores) in enumerate(zip(ranking.items.tolist(), ranking.scores.tolist(), strict=True)):
        there = [item for item in items if item != -1]
        assert items == there + [-1] * (len(items) - len(there))
        assert len(set(there)) == len(there) and set(there) <= set(range(world.items))
        assert not (remove_seen and set(there) & set(world.past(user)))
        assert scores == sorted(scores, reverse=True)
        assert [math.isfinite(score) for score in scores] == [item != -1 for item in items]


@settings(repeatable, max_examples=50)
@given(worlds(), st.data())
def test_who_had_everything_gets_nothing(world: World, data: st.DataObject) -> None:
    lengths = world.batch.lengths.clone()
    history = torch.arange(world.items).expand(len(lengths), -1)
    full = world.with_batch(history, torch.full_like(lengths, world.items))
    ranking = rankers(full, data, remove_seen=True).rank(full.batch, 5)
    assert (ranking.items == -1).all() and (ranking.scores == -math.inf).all()
    assert all((nodes == -1).all() for nodes in ranking.kept)


@settings(repeatable, max_examples=30)
@given(worlds(TOY), st.data())
def test_codes_of_probability_zero_are_as_if_not_there(world: World, data: st.DataObject) -> None:
    """A generator that forbids codes itself: an -inf among finite logits, which no arithmetic turns into NaN."""
    trie = DictTrie(world.paths)
    doomed = set()
    tables = [table.clone() for table in world.generator.tables]
    for path, codes in trie.codes.items():
        for code in data.draw(st.sets(st.sampled_from(codes), max_size=len(codes) - 1)):
            doomed.add((*path, code))
    gone = [item for item, path in enumerate(world.paths) if any(path[: d + 1] in doomed for d in range(world.levels))]

    class Forbidding(ToyCodes):
        def next_code(self, cache: Any, *given: Any) -> tuple[Tensor, Any]:
            logits, after = super().next_code(cache, *given)
            for path in (path for path in doomed if len(path) == after[1]):
                place = int(np.ravel_multi_index(path[:-1], self.sizes[: len(path) - 1])) if path[:-1] else 0
                logits[..., path[-1]].masked_fill_(after[2] == place, -math.inf)
            return logits, after

    generator = Forbidding(world.sizes, world.generator.item_features, tables, world.generator.history)
    weight = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    ranking = world.guided(FAR, weight=weight, generator=generator).rank(world.batch, 40)
    for user, (items, scores) in enumerate(zip(ranking.items.tolist(), ranking.scores.tolist(), strict=True)):
        slow = exhaustive_scores(
            DictTrie(world.paths, without=gone), world.say(user), lambda p, u=user: world.judge(u, p), weight
        )
        found = {item: score for item, score in zip(items, scores, strict=True) if item != -1}
        assert found == pytest.approx(slow, rel=1e-4, abs=1e-4)


@settings(repeatable, max_examples=30)
@given(worlds(TOY), st.data())
def test_nan_logits_are_refused_with_the_first_level_and_row(world: World, data: st.DataObject) -> None:
    rows = st.integers(0, len(world.batch.lengths) - 1)
    spots = data.draw(st.sets(st.tuples(st.integers(1, world.levels), rows), min_size=1, max_size=3))
    where = dict.fromkeys(spots, slice(None))
    level, row = min(where)
    search = world.guided(FAR, generator=PoisonedCodes(world.generator, where))
    with pytest.raises(ValueError, match=f"^the generator gave NaN at level {level} for row {row} of the batch$"):
        search.rank(world.batch, 3)


@settings(repeatable, max_examples=30)
@given(worlds(TOY), st.data())
def test_one_nan_or_infinite_reward_is_refused_with_its_level_and_row(world: World, data: st.DataObject) -> None:
    fusion = data.draw(st.sampled_from([None, 1.0]))
    search = world.guided(1, expansion=FAR, weight=0.5, fusion=fusion)
    value, said = data.draw(st.sampled_from([(math.nan, "NaN"), (math.inf, r"\+inf")]))
    level, row = (
        data.draw(st.sampled_from(sorted(search.judge.depths))),
        data.draw(st.integers(0, len(world.batch.lengths) - 1)),
    )
    search.judge = replace(search.judge, reward=PoisonedRewards(world.reward, {(level, row): slice(0, 1)}, value))
    words = f"^the reward model gave {'NaN' if fusion else said} at level {level} for row {row} of the batch$"
    with pytest.raises(ValueError, match=words):
        search.rank(world.batch, 3)
    place = data.draw(st.integers(0, world.items - 1))
    where = {(world.levels, row): slice(place, place + 1)}
    exact = world.exhaustive(0.5, reward=PoisonedRewards(world.reward, where, value))
    words = f"^the reward model gave {said} at level {world.levels} for row {row} of the batch$"
    with pytest.raises(ValueError, match=words):
        exact.rank(world.batch, 3)
    forbidding = PoisonedRewards(world.reward, where, -math.inf)
    gone = int(world.trie.item_of(torch.tensor([[place]])))
    for weight in (0.5, 1.0):
        items = world.exhaustive(weight, reward=forbidding).rank(world.batch, world.items).items
        assert [gone in found for found in items.tolist()] == [user != row for user in range(len(items))]


@settings(repeatable, max_examples=20)
@given(st.lists(st.integers(2, 4), min_size=1, max_size=3), st.integers(0, 99))
def test_where_every_prefix_branches_cost_grows_with_width_and_candidates(sizes: list[int], seed: int) -> None:
    """Elsewhere a wider beam may end in prefixes that need no decoder any more."""
    codes = np.stack(np.unravel_index(np.arange(math.prod(sizes)), sizes), 1)
    batch = UserRows(torch.tensor([[0, 1]]), torch.tensor([2]))
    world = toy_world(codes, tuple(sizes), seed, batch, history=5)
    plain = [world.guided(width).rank(batch, 3).cost for width in range(1, 20)]
    guided = [world.guided(2, candidates=count, weight=1.0).rank(batch, 3).cost for count in range(2, 20)]
    for costs in (plain, guided):
        for what in ("flops", "decoder_tokens", "prm_paths"):
            values = [getattr(cost, what) for cost in costs]
            assert values == sorted(values)
