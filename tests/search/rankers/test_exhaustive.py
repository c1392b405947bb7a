"""Exact scores of the whole catalogue against hand-written answers and the plain-Python sum over all paths."""

import math
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
