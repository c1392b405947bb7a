"""Shares of the machine's peak."""

import pytest
import torch
from omegaconf import DictConfig

from promise.bench import machine
from promise.bench.measure import Skipped


def test_shares_by_type_of_number(quick: DictConfig) -> None:
    found = {m.name: m for m in machine.peak(quick)}
    assert list(found) == ["matmul_share", "matmul_share_bf16", "bf16_over_fp32"]
    assert [m.dtype for m in found.values()] == ["float32", "bfloat16", "bfloat16"]
    share = found["matmul_share"]
    assert share.goal == 0.35 and share.ours and share.theirs
    assert share.ratio == pytest.approx(share.ours / share.theirs)
    assert share.note == "W=4, generator=tiny, 300 items, batch 4; beside the fastest matrix product"


def test_the_peak_is_a_rate() -> None:
    assert machine.matmul_peak(torch.float32, "cpu", quick=True) > 1e6


def test_the_accelerator_needs_one(quick: DictConfig) -> None:
    with pytest.raises(Skipped, match=r"^needs bench\.device=cuda$"):
        next(machine.accelerator(quick))
