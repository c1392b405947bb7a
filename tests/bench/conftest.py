"""The config of tiny measurements."""

from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from promise import configs


@pytest.fixture
def quick() -> DictConfig:
    """What `promise bench bench.quick=true` gives its measurements."""
    cfg: Any = OmegaConf.load(configs.root() / "conf" / "bench.yaml")
    cfg.bench.quick, cfg.bench.repeats = True, 1
    return cfg
