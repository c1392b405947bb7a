"""Best of N: its draws against the exact distribution, its ranking and cost against the plain-Python world."""

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from promise.search.beams import Beams
from promise.search.protocols import Ranking, UserRows
from promise.search.rankers import best_of_n
from promise.search.rankers.best_of_n import BestOfN
from tests.search.strategies import TOY, repeatable, restrictions, worlds
from tests.search.toys import FEATURES, PoisonedCodes, PoisonedRewards, ToyCodes
from tests.search.worlds import World


def best_of(world: World, samples: int, **dials: Any) -> BestOfN:
    """Draws ranked by likelihood, unless told."""
    offers = {"generator": world.generator, "reward": world.reward, "trie": world.trie}
    return BestOfN(samples, **{"temperature": 1.0, "weight": 0.0, **offers, **dials})


def found(ranking: Ranking) -> list[list[int]]:
    """The items of every user, without places that hold none."""
    return [[item for item in items if item >= 0] for items in ranking.items.tolist()]


# The distribution of the draws.

CROWD = UserRows(torch.randint(4, (20_000, 20), generator=torch.Generator().manual_seed(0)), torch.full((20_000,), 20))


class Alike(ToyCodes):
    """Says the same of every user; their draws still differ, because their histories do."""

    def encode(self, history: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.eye(FEATURES)[0].expand(len(history), -1)


@pytest.fixture(scope="module")
def alike(drawn: World) -> World:
    """The drawn world for a crowd: A = 0 has .33, B = 1 .27, C = 2 .36, D = 3 .04 in everyone's eyes."""
    toy = drawn.generator
    generator = Alike(toy.sizes, toy.item_features, toy.tables, history=20)
    return World(drawn.codes, drawn.sizes, CROWD, generator, drawn.reward)


def exact(temperature: float, denied: tuple[int, ...] = ()) -> dict[int, float]:
    """Probabilities of the drawn world's items at a temperature, code by code, without some items."""
    paths = {0: (0.6, 0.55), 1: (0.6, 0.45), 2: (0.4, 0.9), 3: (0.4, 0.1)}
    groups = [[item for item in group if item not in denied] for group in ((0, 1), (2, 3))]
    groups = [group for group in groups if group]
    first = {group[0]: paths[group[0]][0] ** (1 / temperature) for group in groups}
    chances = {}
    for group in groups:
        second = {item: paths[item][1] ** (1 / temperature) for item in group}
        for item in group:
            chances[item] = first[group[0]] / sum(first.values()) * second[item] / sum(second.values())
    return chances


def assert_drawn_from(draws: list[Any], chances: dict[Any, float]) -> None:
    """A chi-square test: the draws have these chances."""
    counts = Counter(draws)
    assert counts.keys() <= chances.keys() and sum(chances.values()) == pytest.approx(1)
    expected = [chance * len(draws) for chance in chances.values()]
    assert stats.chisquare([counts[draw] for draw in chances], expected).pvalue > 1e-3


@pytest.mark.parametrize(("temperature", "denied"), [(1.0, ()), (2.0, ()), (0.5, ()), (1.0, (2,)), (3.0, (0, 1))])
def test_one_draw_has_the_exact_distribution(alike: World, temperature: float, denied: tuple[int, ...]) -> None:
    deny = list(denied) or None
    search = best_of(alike, 1, temperature=temperature, deny=deny)
    draws = [items[0] for items in found(search.rank(CROWD, 1))]
    assert_drawn_from(draws, exact(temperature, denied))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_two_distinct_draws_have_the_distribution_without_replacement(alike: World, temperature: float) -> None:
    p = exact(temperature)
    chances = {
        (a, b): p[a] * p[b] / (1 - p[a]) + p[b] * p[a] / (1 - p[b]) for a, b in itertools.combinations(sorted(p), 2)
    }
    search = best_of(alike, 2, temperature=temperature)
    assert_drawn_from([tuple(sorted(items)) for items in found(search.rank(CROWD, 2))], chances)


def test_draws_of_a_random_tree_have_the_exact_distribution() -> None:
    """Three uneven levels, single children among them."""
    rng = np.random.default_rng(3)
    every = np.array(list(itertools.product(range(3), range(4), range(2))))
    codes, sizes = rng.permutation(every)[:9], (3, 4, 2)
    tables = [torch.from_numpy(rng.normal(size=(n, k, FEATURES))).float() for n, k in ((1, 3), (3, 4), (12, 2))]
    world = World(codes, sizes, CROWD, Alike(sizes, torch.eye(FEATURES)[[0] * 9], tables, 20), None)
    slow = World(codes, sizes, UserRows(torch.zeros(1, 1).long(), torch.ones(1).long()), world.generator, None)
    chances = {item: math.exp(value) for item, value in slow.slow_exhaustive(0, 0.0, 1.0, set()).items()}
    draws = [items[0] for items in found(best_of(world, 1).rank(CROWD, 1))]
    assert_drawn_from(draws, chances)


def test_cold_draws_are_the_greedy_path(alike: World) -> None:
    few = UserRows(CROWD.history[:50], CROWD.lengths[:50])
    for temperature in (1e-300, 1e-6):
        ranking = best_of(alike, 1, temperature=temperature).rank(few, 5)
        assert found(ranking) == [[0]] * 50  # the likelier first code, although item 2 is the likeliest


# Any world.


@settings(repeatable, max_examples=30)
@given(worlds(), st.sampled_from([0.3, 1.0, 4.0]), st.sampled_from([0.0, 0.4, 1.0]), st.booleans())
def test_enough_distinct_draws_are_the_exhaustive_ranking(world, temperature, weight, remove_seen):
    dials: dict[str, Any] = {"weight": weight, "remove_seen": remove_seen}
    drawn = best_of(world, world.items, temperature=temperature, **dials).rank(world.batch, 99)
    every = world.exhaustive(**dials).rank(world.batch, 99)
    torch.testing.assert_close(drawn.scores, every.scores, atol=1e-4, rtol=1e-4)
    for mine, theirs in zip(found(drawn), found(every), strict=True):
        assert set(mine) == set(theirs)


@settings(repeatable, max_examples=30)
@given(worlds(), st.integers(1, 12), st.sampled_from([0.0, 0.4, 1.0]), st.data())
def test_scores_are_those_of_the_items_and_the_ranking_is_of_what_was_drawn(world, samples, weight, data):
    always, removed = data.draw(restrictions(world))
    search = best_of(world, samples, weight=weight, temperature=1.7, **always)
    ranking = search.rank(world.batch, 99)
    for user, items in enumerate(found(ranking)):
        scores = world.slow_exhaustive(user, weight, 1.0, removed[user])
        assert len(items) == min(samples, len(scores))
        assert ranking.scores[user, : len(items)].tolist() == pytest.approx([scores[i] for i in items], 1e-4, 1e-4)
        for depth, nodes in enumerate(ranking.kept, start=1):
            kept = [node for node in nodes[user].tolist() if node >= 0]
            above = {world.places[world.paths[item][:depth]] for item in items}
            assert above <= set(kept)  # a beam holds prefixes that lead to no draw
            assert len(kept) == len(set(kept)) <= samples


@settings(repeatable, max_examples=25)
@given(worlds(TOY), st.integers(1, 12), st.integers(0, 5))
def test_more_samples_keep_those_of_fewer(world: World, samples: int, seed: int) -> None:
    def drawn(count: int) -> list[set[int]]:
        ranking = best_of(world, count, temperature=1.5, seed=seed).rank(world.batch, 99)
        return [set(items) for items in found(ranking)]

    for few, more in zip(drawn(samples), drawn(samples + 3), strict=True):
        assert few <= more


@settings(repeatable, max_examples=25)
@given(worlds(TOY), st.booleans())
def test_batch_order_and_padding_do_not_matter(world: World, remove_seen: bool) -> None:
    history, lengths = world.batch
    search = best_of(world, 4, weight=0.5, remove_seen=remove_seen)
    whole = search.rank(world.batch, 3)
    again = best_of(world, 4, weight=0.5, remove_seen=remove_seen).rank(world.batch, 3)
    assert torch.equal(again.items, whole.items) and torch.equal(again.scores, whole.scores)
    padded = torch.nn.functional.pad(history, (0, 3), value=world.items - 1)
    turned = search.rank(UserRows(padded.flip(0), lengths.flip(0)), 3)
    assert torch.equal(turned.items.flip(0), whole.items)
    alone = [search.rank(UserRows(history[u : u + 1], lengths[u : u + 1]), 3) for u in range(len(lengths))]
    assert torch.equal(torch.cat([ranking.items for ranking in alone]), whole.items)
    costs = [sum(getattr(ranking.cost, name) for ranking in alone) for name in ("flops", "decoder_tokens", "prm_paths")]
    assert costs == [whole.cost.flops, whole.cost.decoder_tokens, whole.cost.prm_paths]


def test_seeds_draw_differently(alike: World) -> None:
    few = UserRows(CROWD.history[:200], CROWD.lengths[:200])
    one, other = (found(best_of(alike, 1, seed=seed).rank(few, 1)) for seed in (0, 1))
    assert 30 < sum(a == b for a, b in zip(one, other, strict=True)) < 95  # by chance .31


def test_a_batch_that_is_too_large_is_drawn_in_parts(worlds: list[World], monkeypatch: pytest.MonkeyPatch) -> None:
    for world in worlds[:30]:
        dials: dict[str, Any] = {"weight": 0.5, "remove_seen": True}
        whole = best_of(world, 5, **dials).rank(world.batch, 4)
        with monkeypatch.context() as patch:
            patch.setattr(best_of_n, "MAX_BYTES", 1)
            search = best_of(world, 5, **dials)
            assert search.users_at_once == 1
            parts = search.rank(world.batch, 4)
        assert torch.equal(parts.items, whole.items) and all(map(torch.equal, parts.kept, whole.kept))
        assert (parts.cost.flops, parts.cost.users) == (whole.cost.flops, whole.cost.users)


def test_decoding_every_prefix_changes_only_the_cost(worlds: list[World], monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator, where shapes do not depend on the data."""
    for world in worlds[:30]:
        search = best_of(world, 5, weight=0.5, remove_seen=True)
        packed = search.rank(world.batch, 4)
        with monkeypatch.context() as patch:
            patch.setattr(Beams, "active", lambda *_: None)
            static = search.rank(world.batch, 4)
        assert torch.equal(static.items, packed.items) and torch.equal(static.scores, packed.scores)
        assert static.cost.decoder_tokens >= packed.cost.decoder_tokens and static.cost.flops >= packed.cost.flops
        assert static.cost.decoder_tokens % static.cost.users == 0


# Cost.


def test_cost_by_hand(drawn: World) -> None:
    batch = UserRows(torch.tensor([[0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]]), torch.tensor([6, 2]))
    cost = best_of(drawn, 50, temperature=9.0, weight=1.0).rank(batch, 2).cost
    # encode 100 x (5 + 2), two starts 10 x 2 each; level 1: 1 row x 2 users x 1,000; level 2: both prefixes, once each,
    # 2 x 2 x 2,000; judged: every item once, 3 FLOPs a path.
    assert cost.flops == 700 + 20 + 20 + 2000 + 8000 + 3 * 8
    assert (cost.users, cost.decoder_tokens, cost.prm_paths) == (2, 6, 8) and cost.seconds > 0
    cold = best_of(drawn, 1, temperature=1e-9).rank(batch, 2).cost
    assert (cold.flops, cold.decoder_tokens, cold.prm_paths) == (700 + 20 + 2000 + 4000, 4, 0)


# Bad input.


def test_nan_is_refused_with_its_level_and_row(alike: World, drawn: World) -> None:
    few = UserRows(CROWD.history[:4], CROWD.lengths[:4])
    for whose, level, row, poisoned in (
        ("generator", 1, 2, {"generator": PoisonedCodes(alike.generator, {(1, 2): slice(None)})}),
        ("reward model", 2, 1, {"reward": PoisonedRewards(drawn.reward, {(2, 1): slice(0, 1)}), "weight": 1.0}),
    ):
        with pytest.raises(ValueError, match=rf"^the {whose} gave NaN at level {level} for row {row} of the batch$"):
            best_of(alike, 4, **poisoned).rank(few, 2)
