"""The learning rate step by step, and what decays."""

import math

import pytest
import torch
from torch import nn

from promise.tasks import schedule as schedules
from promise.tasks.schedule import LazyAdamW, adamw, clip, cosine_factor, make_sparse


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


def trained(sparse: bool, steps: int = 7) -> list[torch.Tensor]:
    """A table after every step; rows get their gradients rarely, one of them twice in a step."""
    torch.manual_seed(0)
    table = nn.Embedding(9, 4, sparse=sparse)
    betas = (0.0, 0.98)
    groups = [{"params": [table.weight], "weight_decay": 0.1}]
    optimizer = LazyAdamW(groups, 0.01, betas) if sparse else torch.optim.AdamW(groups, 0.01, betas)
    found = []
    for step in range(steps):
        loss = (table(torch.tensor([step % 3, 5, 5, step])) ** 3).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(table.weight.detach().clone())
    return found


def test_rows_with_gradients_move_as_under_adamw_without_a_first_moment(monkeypatch):
    monkeypatch.setattr(schedules, "LAZY_STEPS", 1)  # weight decay at once
    for lazy, dense in zip(trained(sparse=True), trained(sparse=False), strict=True):
        assert torch.allclose(lazy, dense, rtol=1e-5)


def test_decay_of_whole_tables_waits(monkeypatch):
    monkeypatch.setattr(schedules, "LAZY_STEPS", 3)
    lazy, dense = trained(sparse=True), trained(sparse=False)
    assert torch.equal(lazy[1][8], lazy[0][8]) and not torch.allclose(lazy[1][8], dense[1][8])  # never used
    assert torch.allclose(lazy[2][8], dense[2][8])


def test_a_mixed_network_is_clipped_by_the_norm_of_all_its_gradients_or_by_value():
    for algorithm in ("norm", "value"):
        slopes = []
        for rows in (None, 3):
            torch.manual_seed(0)
            network = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 4))
            assert make_sparse(network, rows) == (rows is not None)
            network(torch.tensor([1, 1, 2])).pow(2).sum().backward()
            if rows is None:
                own = nn.utils.clip_grad_norm_ if algorithm == "norm" else nn.utils.clip_grad_value_
                own(network.parameters(), 0.3)
            else:
                clip(network.parameters(), 0.3, algorithm)
            slopes.append([weight.grad.to_dense() for weight in network.parameters()])
        for one, other in zip(*slopes, strict=True):
            assert torch.allclose(one, other, rtol=1e-4)
