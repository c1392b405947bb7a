"""Shares of the machine's peak."""

import pytest
from omegaconf import DictConfig

from promise.bench import machine
from promise.bench.measure import Skipped


def test_the_accelerator_needs_one(quick: DictConfig) -> None:
    with pytest.raises(Skipped, match=r"^needs bench\.device=cuda$"):
        next(machine.accelerator(quick))
