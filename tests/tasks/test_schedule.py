"""The learning rate step by step, and what decays."""

import math

import pytest
import torch
from torch import nn

from promise.tasks.schedule import adamw, cosine_factor


@pytest.mark.parametrize("warmup, total", [(0, 10), (3, 30), (30, 30), (1, 1)])
def test_the_rate_climbs_in_a_line_and_falls_as_a_cosine(warmup, total):
    factors = [cosine_factor(step, warmup, total) for step in range(total + 1)]
    for step, factor in enumerate(factors):
        if step < warmup:
            assert factor == pytest.approx((step + 1) / warmup)
        else:
            angle = math.pi * (step - warmup) / max(1, total - warmup)
            assert factor == pytest.approx((1 + math.cos(angle)) / 2)
    assert max(factors) == 1
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    if warmup < total:
        assert factors[-1] == pytest.approx(0)
    assert cosine_factor(10 * total, warmup, total) == pytest.approx(0)


@pytest.mark.parametrize("asked, total, warmup", [(200, 100_000, 200), (200, 50, 5), (0, 50, 0), (200, 3, 1)])
def test_warm_up_takes_a_tenth_of_the_steps_at_most(asked, total, warmup):
    optimizer, schedule = adamw([nn.Parameter(torch.zeros(2, 2))], 0.5, 0.1, asked, total)
    rates = []
    for _ in range(min(total, 300)):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.5 * cosine_factor(step, warmup, total) for step in range(len(rates))])


def test_matrices_decay_and_gains_and_biases_do_not():
    network = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 4), nn.RMSNorm(4))
    network[0].requires_grad_(False)
    optimizer, _ = adamw(network.parameters(), 0.01, 0.3, 10, 100)
    decayed, kept = optimizer.param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.3, 0.0)
    assert [id(p) for p in decayed["params"]] == [id(network[1].weight)]
    assert [id(p) for p in kept["params"]] == [id(network[1].bias), id(network[2].weight)]
    assert decayed["betas"] == (0.9, 0.98)
