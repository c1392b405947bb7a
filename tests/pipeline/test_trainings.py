"""Trainings: what they start from, what they keep, and what names them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from promise.pipeline.networks import WEIGHTS, load_weights, save_weights
from promise.pipeline.trainer import IDLE, trainer_options

PipelineOf = Callable[..., Any]


@pytest.fixture
def staged(world: Any, tmp_path: Path) -> Callable[..., Any]:
    """The pipeline of a staged training: the world's `training.epochs` is no dial of it."""
    from promise import configs
    from promise.pipeline.stages import Pipeline

    words = [word for word in world.words if not word.startswith("training.")]

    def compose(*more: str) -> Any:
        own = ["training=staged", "training.generator.epochs=2", "training.reward.epochs=2", f"store={tmp_path}"]
        return Pipeline(configs.compose([*words, *own, *more]))

    return compose


def parameters(module: torch.nn.Module) -> list[torch.Tensor]:
    return [value for _, value in sorted(module.state_dict().items())]


def test_stages_share_the_generator(staged: Callable[..., Any], pipeline_of: PipelineOf, tmp_path: Path) -> None:
    both = staged()
    generator, reward = both.networks
    assert both.built[-2:] == ["generator", "reward"] and reward is not None
    alone = pipeline_of("training=generator", store=tmp_path)
    same, none = alone.networks
    assert alone.built == [] and none is None
    assert all(map(torch.equal, parameters(generator), parameters(same)))
    other = staged("reward=cross_attention")
    _ = other.networks
    assert other.built == ["reward"]


@pytest.mark.parametrize(
    ("trainer", "processes"),
    [({"devices": 3}, 3), ({"devices": [0, 1]}, 2), ({"devices": "auto"}, 1), ({"devices": 2, "num_nodes": 4}, 8)],
)
def test_processes_are_part_of_the_name(pipeline_of: PipelineOf, trainer: dict[str, Any], processes: int) -> None:
    cfg = pipeline_of().cfg.copy()
    OmegaConf.set_struct(cfg, False)
    cfg.trainer = {**cfg.trainer, **trainer}
    options = trainer_options(cfg)
    assert options["processes"] == processes and not options.keys() & IDLE
    assert options["precision"] in ("32-true", "bf16-mixed")  # what auto becomes


@pytest.mark.parametrize("damage", [b"garbage", None])
def test_weights_must_be_those_of_the_networks(pipeline_of: PipelineOf, tmp_path: Path, damage: bytes | None) -> None:
    generator, _ = pipeline_of().networks
    path = tmp_path / WEIGHTS
    save_weights(path, {"reward": torch.nn.Linear(2, 2)}) if damage is None else path.write_bytes(damage)
    with pytest.raises(ValueError, match=r"weights\.safetensors does not hold the weights of these networks: "):
        load_weights(path, {"generator": generator})
