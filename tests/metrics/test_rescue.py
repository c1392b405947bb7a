"""Ranks and calibration against worlds written out and plain Python."""

import math

import numpy as np
import pytest
import torch

from promise.metrics.rescue import belief, calibration_error, median_interval, true_rank

NODES = torch.tensor([[4, 7, 2, -1], [4, 7, 2, 9], [4, 7, 2, 9], [1, -1, -1, -1]])
SCORES = torch.tensor([[1.0, 3.0, 2.0, 9.0], [1.0, 1.0, 1.0, 1.0], [5.0, 0.0, 0.0, 2.0], [0.0, math.nan, 5.0, 5.0]])


def test_ranks_by_hand() -> None:
    # The highest score of user 0 is no candidate; four that tie share 2.5; user 2's prefix 3 is none of them.
    assert true_rank(SCORES, NODES, torch.tensor([2, 7, 2, 1])).tolist() == [2.0, 2.5, 3.5, 1.0]
    ranks = true_rank(SCORES, NODES, torch.tensor([4, -1, 3, 1])).tolist()
    assert ranks[0] == 3 and math.isnan(ranks[1]) and math.isnan(ranks[2]) and ranks[3] == 1


@pytest.mark.parametrize("seed", range(5))
def test_ranks_and_beliefs_equal_plain_python(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = np.stack([rng.permutation(9)[:6] for _ in range(40)])
    nodes[rng.random(nodes.shape) < 0.2] = -1
    nodes[:, 0] = np.where(nodes[:, 0] < 0, 9, nodes[:, 0])
    scores, true = rng.integers(-2, 3, nodes.shape).astype(np.float32), rng.integers(9, size=40)
    ranks = true_rank(torch.from_numpy(scores), torch.from_numpy(nodes), torch.from_numpy(true)).tolist()
    beliefs = belief(torch.from_numpy(scores), torch.from_numpy(nodes), torch.from_numpy(true))
    for user, target in enumerate(true.tolist()):
        pairs = list(zip(scores[user].tolist(), nodes[user].tolist(), strict=True))
        real = {node: score for score, node in pairs if node >= 0}
        if target not in real:
            assert math.isnan(ranks[user]) and math.isnan(beliefs.confidence[user]) and not beliefs.right[user]
            continue
        above = sum(score > real[target] for score in real.values())
        level = sum(score == real[target] for score in real.values())
        assert ranks[user] == above + (level + 1) / 2
        top = max(real.values())
        assert beliefs.confidence[user].item() == pytest.approx(1 / sum(math.exp(s - top) for s in real.values()))
        if list(real.values()).count(top) == 1:
            assert beliefs.right[user].item() == (real[target] == top)


def test_a_judge_who_tells_the_odds_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(20_000)
    assert calibration_error(confidence, rng.random(20_000) < confidence) < 0.02
    assert calibration_error(np.ones(10), np.arange(10) < 3) == pytest.approx(0.7)


def test_bins_by_hand() -> None:
    found = calibration_error([0.9, 0.1, 0.5], [True, False, False], bins=2)
    assert found == pytest.approx((2 * 0.3 + 0.1) / 3)
    assert calibration_error([0.5], [True]) == 0.5


@pytest.mark.parametrize("count", [1, 2, 3, 30, 301])
def test_the_medians_interval_is_that_of_drawn_resamples(count: int) -> None:
    values = np.random.default_rng(count).integers(1, 200, count)
    median, low, high = median_interval(values)
    assert median == sorted(values.tolist())[(count - 1) // 2]
    drawn = np.random.default_rng(1).choice(values, (20_000, count))
    drawn.sort(axis=1)
    medians = np.sort(drawn[:, (count - 1) // 2])
    assert (medians <= low).mean() >= 0.02 and (medians < low).mean() <= 0.03
    assert (medians >= high).mean() >= 0.02 and (medians > high).mean() <= 0.03
    assert low <= median <= high
