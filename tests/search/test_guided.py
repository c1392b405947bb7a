"""The guided search against hand-written answers and the plain-Python algorithm."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

# The drawn world: A = 0, B = 1, C = 2, D = 3; see `drawn`.


BLENDED = [math.log(0.27) / 2 + 0.25, math.log(0.33) / 2, math.log(0.36) / 2 - 0.25, math.log(0.04) / 2 + 0.75]


@pytest.mark.parametrize(
    ("dials", "items", "scores"),
    [
        ({"width": 1}, [0], [math.log(0.33)]),  # greedy falls into the trap
        ({"width": 2}, [2, 0], [math.log(0.36), math.log(0.33)]),
        ({"width": 1, "expansion": 2, "weight": 1.0}, [3], [3.0]),
        ({"width": 1, "expansion": 2, "weight": [1.0, 0.0]}, [2], [math.log(0.36)]),
        ({"width": 1, "expansion": 2, "weight": [0.0, 1.0]}, [1], [1.0]),
        ({"width": 2, "candidates": 2, "weight": 1.0}, [0, 2], [0.0, -1.0]),
        ({"width": 2, "candidates": 3, "weight": 1.0}, [1, 0], [1.0, 0.0]),
        ({"width": 2, "candidates": 4, "weight": 1.0}, [3, 1], [3.0, 1.0]),
        ({"width": 4, "weight": 0.5, "temperature": 2.0}, [1, 0, 2, 3], BLENDED),
        ({"width": 1, "candidates": 3, "weight": 1.0, "rerank": True}, [1], [1.0]),
        ({"width": 1, "candidates": 4, "weight": 1.0, "rerank": True}, [3], [3.0]),
    ],
    ids=str,
)
def test_the_drawn_world(drawn: Any, dials: dict[str, Any], items: list[int], scores: list[float]) -> None:
    ranking = drawn.guided(**dials).rank(drawn.batch, 4)
    assert ranking.items[0].tolist() == items and ranking.scores[0].tolist() == pytest.approx(scores, abs=1e-5)


def test_kept_nodes(drawn: Any) -> None:
    kept = drawn.guided(width=[2, 3], weight=1.0, expansion=2).rank(drawn.batch, 3).kept
    assert kept[0].sort().values.tolist() == [[0, 1]] and kept[1].tolist() == [[3, 1, 0]]


# Random worlds.


def test_shuffled_control_judges_other_paths(worlds: list[Any]) -> None:
    changed = 0
    for world in worlds:
        dials: dict[str, Any] = {"width": 2, "expansion": 10, "weight": 1.0}
        honest = world.guided(**dials).rank(world.batch, 2)
        shuffled = world.guided(**dials, shuffle_rewards=True, seed=1).rank(world.batch, 2)
        changed += not torch.equal(honest.items, shuffled.items)
    assert changed > 50
    plain = worlds[0].guided(width=2, shuffle_rewards=True, reward=None).rank(worlds[0].batch, 2)
    assert torch.equal(plain.items, worlds[0].guided(width=2).rank(worlds[0].batch, 2).items)


def test_the_reward_is_asked_where_it_cuts_and_at_the_end(drawn: Any) -> None:
    assert drawn.guided(width=1, expansion=2, weight=1.0).judge.depths == {1, 2}
    assert drawn.guided(width=2, expansion=2, weight=1.0).judge.depths == {2}  # both codes are kept anyway
    assert drawn.guided(width=1, expansion=[2, 1], weight=1.0).judge.depths == {1, 2}
    assert drawn.guided(width=1, expansion=2, weight=[1.0, 0.0]).judge.depths == {1}
    assert drawn.guided(width=1, expansion=2, weight=1.0, rerank=True).judge.depths == {2}
    assert drawn.guided(width=1, expansion=2).judge.depths == set()


def test_cost_by_hand(drawn: Any) -> None:
    batch = type(drawn.batch)(torch.tensor([[0, 0, 0], [0, 0, 0]]), torch.tensor([3, 2]))
    cost = drawn.guided(width=[1, 2], candidates=[2, 4], weight=1.0).rank(batch, 2).cost
    # encode 100 x 5, two starts 10 x 2 each, level 1: 1 row x 2 users x 1,000, level 2: 1 x 2 x 2,000,
    # judged: 2 drafts, then the 2 extensions of the one beam, 3 FLOPs a path.
    assert cost.flops == 500 + 20 + 20 + 2000 + 4000 + 3 * 4 + 3 * 4
    assert (cost.users, cost.decoder_tokens, cost.prm_paths) == (2, 4, 8) and cost.seconds > 0
    plain = drawn.guided(width=2).rank(batch, 2).cost
    assert plain.flops == 500 + 20 + 2000 + 2 * 4000
    assert (plain.decoder_tokens, plain.prm_paths) == (6, 0)


def test_only_the_history_that_is_read_costs(drawn: Any) -> None:
    long = type(drawn.batch)(torch.zeros(1, 9, dtype=torch.int64), torch.tensor([9]))
    assert drawn.guided(width=1).rank(long, 1).cost.flops == 500 + 10 + 1000 + 2000


def test_a_beam_without_a_choice_left_is_not_decoded(drawn: Any, worlds: list[Any]) -> None:
    codes = np.array([[0, 0], [0, 1], [1, 0]])  # after code 1 only code 0 may follow
    world = replace(drawn, codes=codes)
    cost = world.guided(width=2).rank(world.batch, 2).cost
    assert cost.decoder_tokens == 1 + 1
    for world in worlds:
        search = world.guided(width=3)
        history = world.batch.lengths.clamp_max(world.generator.history).tolist()
        spent, most = search.rank(world.batch, 1).cost, search.cost(history)
        assert spent.decoder_tokens <= most.decoder_tokens and spent.flops <= most.flops


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"weight": 0.5, "reward": None}, r"search\.weight=0\.5 needs a reward model, got a generator alone"),
        ({"width": 0}, r"search\.width must be an integer >= 1, got 0"),
        ({"width": [1, 2, 3]}, r"search\.width has 3 entries, the semantic IDs have 2 levels"),
        ({"deny": [4]}, r"deny must hold items 0 \.\. 3, got 4"),
    ],
)
def test_bad_dials_are_refused(drawn: Any, dials: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        drawn.guided(**{"width": 1, **dials})
