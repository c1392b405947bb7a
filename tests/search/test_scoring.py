"""The blend of likelihood and reward, the shuffled control, and the refusal of NaN."""

import math
from typing import Any

import pytest
import torch

from promise.search.scoring import ShuffledRewards, blend, refuse_nan, shaped

INF = math.inf


def test_blend_is_the_formula() -> None:
    log_probs, rewards = torch.tensor([[-1.0, -2.0]]), torch.tensor([[4.0, -6.0]])
    assert blend(log_probs, rewards, 0.25, 2.0).tolist() == [[-0.75 + 0.5, -1.5 - 0.75]]
    assert blend(log_probs, rewards, 1.0, 1.0).tolist() == rewards.tolist()
    assert blend(log_probs, rewards, 0.0, 2.0) is log_probs
    assert blend(log_probs, None, 0.0, 1.0) is log_probs


@pytest.mark.parametrize("weight", [0.0, 1e-9, 0.5, 1.0])
@pytest.mark.parametrize("reward", [0.0, 5.0, -INF, INF, math.nan])
def test_forbidden_paths_stay_forbidden(weight: float, reward: float) -> None:
    scores = blend(torch.tensor([-INF, -1.0]), torch.tensor([reward, 2.0]), weight, 0.1)
    assert scores[0] == -INF and scores[1].isfinite()


def test_shuffled_rewards_are_a_permutation_within_each_depth(worlds: list[Any]) -> None:
    moved = 0
    for world in worlds:
        users = world.generator.encode(*world.batch)
        control, again, other = (ShuffledRewards(world.reward, world.trie, seed) for seed in (0, 0, 1))
        context = control.start(users)
        for depth in range(1, world.levels + 1):
            nodes = torch.arange(world.trie.nodes[depth]).expand(len(users), -1)
            honest, shuffled = world.reward.score_all(users, depth), control.score(context, depth, nodes)
            torch.testing.assert_close(shuffled.sort().values, honest.sort().values)
            assert torch.equal(shuffled, again.score(context, depth, nodes))
            moved += not torch.equal(shuffled, other.score(context, depth, nodes))
        assert control.flops is world.reward.flops
    assert moved > 100


@pytest.mark.parametrize(("value", "said"), [(math.nan, "NaN"), (INF, r"\+inf")])
def test_nan_and_infinity_are_refused_with_level_row_and_network(value: float, said: str) -> None:
    fine = torch.tensor([[1.0, -INF], [-INF, -INF]])
    refuse_nan({1: fine, 2: fine}, {1: fine, 2: fine})
    spoilt = {2: fine, 3: torch.tensor([[1.0], [value]])}
    with pytest.raises(ValueError, match=rf"^the reward model gave {said} at level 3 for row 8 of the batch$"):
        refuse_nan(spoilt, {2: fine, 3: fine}, 7)
    with pytest.raises(ValueError, match=rf"^the generator gave {said} at level 3 for row 1 of the batch$"):
        refuse_nan(spoilt, {2: fine, 3: torch.tensor([[1.0], [math.nan]])})


def test_a_smaller_tensor_is_not_spread_over_all_paths() -> None:
    every = torch.zeros(2, 3)
    assert shaped("rewards", every, (2, 3)) is every
    for given, got in ((every[:, :1], r"shape \(2, 1\)"), (every[0], r"shape \(3,\)"), (every.numpy(), "ndarray")):
        with pytest.raises(ValueError, match=rf"^rewards must be a tensor of shape \(2, 3\), got {got}$"):
            shaped("rewards", given, (2, 3))
