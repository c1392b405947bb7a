"""What an observer is shown of a guided search, and that looking changes nothing."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from promise.search.beams import Step


def test_the_drawn_world(drawn: Any) -> None:
    steps: list[Step] = []
    drawn.guided(width=2, candidates=3, weight=1.0, observer=steps.append).rank(drawn.batch, 2)
    first, second = steps
    assert (first.depth, second.depth) == (1, 2)
    assert first.nodes.tolist() == [[0, 1]] == first.kept.tolist()  # there are no more prefixes than beams
    assert first.rewards is None and first.log_probs[0].exp().tolist() == pytest.approx([0.6, 0.4])
    assert second.nodes.tolist() == [[2, 0, 1]] and second.kept.tolist() == [[1, 0]]
    assert second.rewards is not None and second.rewards.tolist() == [[-1.0, 0.0, 1.0]]
    assert second.log_probs[0].exp().tolist() == pytest.approx([0.36, 0.33, 0.27])


@pytest.mark.parametrize("max_bytes", [2**30, 1])
def test_looking_changes_nothing(worlds: list[Any], max_bytes: int) -> None:
    for seed, world in enumerate(worlds[:40]):
        rng = np.random.default_rng(seed)
        dials = {"width": int(rng.integers(1, 6)), "expansion": float(rng.choice([1, 2.5])), "weight": 0.7}
        dials |= {"rerank": bool(rng.random() < 0.3), "remove_seen": bool(rng.random() < 0.5), "max_bytes": max_bytes}
        steps: list[Step] = []
        seen = world.guided(**dials, observer=steps.append).rank(world.batch, 5)
        alone = world.guided(**dials).rank(world.batch, 5)
        assert torch.equal(seen.items, alone.items) and torch.equal(seen.scores, alone.scores)
        assert replace(seen.cost, seconds=0) == replace(alone.cost, seconds=0)
        for depth, kept in enumerate(seen.kept, 1):
            mine = [step for step in steps if step.depth == depth]
            assert torch.equal(torch.cat([step.kept for step in mine]), kept)
            for step in mine:
                assert ((step.nodes == -1) == (step.log_probs == -math.inf)).all()
                for nodes, beams in zip(step.nodes.tolist(), step.kept.tolist(), strict=True):
                    real = [node for node in nodes if node >= 0]
                    assert len(set(real)) == len(real) and set(beams) <= {*real, -1}


def test_a_calibration_is_not_shown(drawn: Any) -> None:
    steps: list[Step] = []
    search = drawn.guided(width=1, expansion=2, weight=1.0, adaptive="entropy", observer=steps.append)
    search.calibrate([drawn.batch])
    assert steps == []
    search.rank(drawn.batch, 1)
    assert [step.depth for step in steps] == [1, 2]
