"""The config of tiny measurements, and one thread for them."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from promise import configs


@pytest.fixture
def quick() -> DictConfig:
    """What `promise bench bench.quick=true` gives its measurements."""
    cfg: Any = OmegaConf.load(configs.root() / "conf" / "bench.yaml")
    cfg.bench.quick, cfg.bench.repeats = True, 1
    return cfg


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Networks this small only wait for each other on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
