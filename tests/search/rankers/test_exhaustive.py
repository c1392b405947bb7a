"""Exact scores of the whole catalogue against hand-written answers and the plain-Python sum over all paths."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from promise.ids.trie import Trie
from promise.search.rankers import exhaustive
from promise.search.rankers.exhaustive import stages


@pytest.mark.parametrize(
    ("weight", "temperature", "items", "scores"),
    [
        (0.0, 1.0, [2, 0, 1, 3], [math.log(0.36), math.log(0.33), math.log(0.27), math.log(0.04)]),
        (1.0, 1.0, [3, 1, 0, 2], [3.0, 1.0, 0.0, -1.0]),
        (1.0, 2.0, [3, 1, 0, 2], [1.5, 0.5, 0.0, -0.5]),
        (
            0.5,
            2.0,
            [1, 0, 2, 3],
            [math.log(0.27) / 2 + 0.25, math.log(0.33) / 2, math.log(0.36) / 2 - 0.25, math.log(0.04) / 2 + 0.75],
        ),
    ],
)
def test_drawn_world(drawn: Any, weight: float, temperature: float, items: list[int], scores: list[float]) -> None:
    ranking = drawn.exhaustive(weight, temperature).rank(drawn.batch, 9)
    assert ranking.items.tolist() == [items] and ranking.kept == []
    assert ranking.scores[0].tolist() == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("remove_seen", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_equals_the_plain_python_scorer(
    worlds: list[Any], assert_same: Callable[..., None], weight: float, remove_seen: bool
) -> None:
    for world in worlds:
        ranking = world.exhaustive(weight, 1.5, remove_seen=remove_seen).rank(world.batch, 12)
        for user in range(len(world.batch.history)):
            removed = set(world.past(user)) if remove_seen else set()
            expected = world.slow_exhaustive(user, weight, 1.5, removed)
            assert_same(ranking.items[user], ranking.scores[user], expected)


def test_lists_of_each_user_go_with_their_rows(worlds: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhaustive, "ROWS_AT_ONCE", 1)
    for seed, world in enumerate(worlds[:40]):
        rng, users = np.random.default_rng(seed), len(world.batch.history)
        allow, deny = rng.integers(-1, world.items, size=(users, 4)), rng.integers(world.items, size=(users, 1))
        search = world.exhaustive(0.5)
        together = search.rank(world.batch, 5, allow=allow, deny=deny)
        for user in range(users):
            one = slice(user, user + 1)
            alone = search.rank(type(world.batch)(*(field[one] for field in world.batch)), 5, allow[one], deny[one])
            assert torch.equal(together.items[one], alone.items)
            left = set(allow[user].tolist()) - {-1, *deny[user].tolist()}
            assert {item for item in alone.items[0].tolist() if item >= 0} == left


def test_few_users_at_once_change_nothing(worlds: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for world in worlds[:30]:
        whole = world.exhaustive(0.5, remove_seen=True).rank(world.batch, 5)
        with monkeypatch.context() as patch:
            patch.setattr(exhaustive, "ROWS_AT_ONCE", 1)
            one_by_one = world.exhaustive(0.5, remove_seen=True)
            assert one_by_one.users_at_once == 1
            ranking = one_by_one.rank(world.batch, 5)
        assert torch.equal(ranking.items, whole.items) and ranking.cost.flops == whole.cost.flops
        torch.testing.assert_close(ranking.scores, whole.scores)


def test_padding_does_not_matter_and_the_same_call_gives_the_same_answer(worlds: list[Any]) -> None:
    for world in worlds[:30]:
        search = world.exhaustive(0.5, remove_seen=True)
        first, again = (search.rank(world.batch, 5) for _ in range(2))
        assert torch.equal(first.items, again.items) and torch.equal(first.scores, again.scores)
        padded = torch.nn.functional.pad(world.batch.history, (0, 2), value=world.items - 1)
        longer = search.rank(type(world.batch)(padded, world.batch.lengths), 5)
        assert torch.equal(longer.items, first.items)


def test_only_prefixes_that_branch_or_lead_to_branches_are_decoded() -> None:
    # (0, 0, 0) and (0, 0, 1) branch at the end only; (1, 0, 0) is a chain.
    found = stages(Trie(np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0]]), (2, 1, 2)))
    assert [stage.rows.tolist() for stage in found] == [[0], [0], [0]]
    assert [stage.branching.tolist() for stage in found] == [[True], [False], [True]]
    chain = stages(Trie(np.array([[0, 0]]), (1, 1)))
    assert [len(stage.rows) for stage in chain] == [0, 0]


def test_cost_by_hand(drawn: Any) -> None:
    batch = type(drawn.batch)(torch.tensor([[0, 0, 0], [0, 0, 0]]), torch.tensor([3, 2]))
    decoded = 500 + 20 + 2 * 1000 + 2 * 2 * 2000  # encode, start, the root, two prefixes
    cost = drawn.exhaustive(0.0).rank(batch, 2).cost
    assert (cost.users, cost.flops, cost.decoder_tokens, cost.prm_paths) == (2, decoded, 6, 0)
    cost = drawn.exhaustive(0.5).rank(batch, 2).cost
    assert (cost.flops, cost.decoder_tokens, cost.prm_paths) == (decoded + 20 + 3 * 8, 6, 8)
    cost = drawn.exhaustive(1.0).rank(batch, 2).cost
    assert (cost.flops, cost.decoder_tokens, cost.prm_paths) == (500 + 20 + 3 * 8, 0, 8)


def test_bad_dials_are_refused(drawn: Any) -> None:
    with pytest.raises(ValueError, match=r"^search\.weight must be a number in \[0, 1\], got 2$"):
        drawn.exhaustive(2)
    with pytest.raises(ValueError, match=r"^search\.temperature must be a number > 0, got 0$"):
        drawn.exhaustive(1.0, 0)
    with pytest.raises(ValueError, match=r"^search\.weight=1\.0 needs a reward model, got a generator alone$"):
        drawn.exhaustive(1.0, reward=None)


def test_nan_is_refused(worlds: list[Any]) -> None:
    world = next(w for w in worlds if len(w.batch.history) > 1 and w.items > 3)

    class Broken:
        flops = world.reward.flops

        def start(self, users: Any) -> Any:
            return users

        def score_all(self, context: Any, depth: int) -> torch.Tensor:
            rewards = world.reward.score_all(context, depth)
            rewards[1, -1] = math.nan
            return rewards

    message = f"^the networks gave NaN at level {world.levels} for row 1 of the batch$"
    with pytest.raises(ValueError, match=message):
        world.exhaustive(1.0, reward=Broken()).rank(world.batch, 1)
