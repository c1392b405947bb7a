"""Trainings: what they start from, what they keep, and what a checkpoint must fit to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from promise.pipeline.fitting import load, load_networks
from promise.pipeline.training_run import NETWORKS

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
    _ = other.checkpoint
    assert other.built == ["reward"]


def test_a_seed_makes_the_same_networks(pipeline_of: PipelineOf, tmp_path: Path) -> None:
    first, again = pipeline_of(), pipeline_of(store=tmp_path)
    torch.rand(3)
    assert first.networks_fingerprint == again.networks_fingerprint


def test_what_is_kept(pipeline_of: PipelineOf) -> None:
    path = pipeline_of().checkpoint
    payload = load(path)
    assert payload["ids"] == pipeline_of().ids.fingerprint
    assert payload["generator"]["dim"] == 16 and set(payload["state"]) == {"generator", "reward"}
    manifest = pipeline_of().store.find(path.parent.name).manifest
    assert manifest["epochs"] == 2 and 1 <= manifest["best_epoch"] <= 2
    assert 0 <= manifest["validation_recall@10"] <= 1
    assert list(manifest["files"]) == [NETWORKS]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generator.dim=32"], r"was trained with generator\.dim=16, the config says 32"),
        (["reward=cross_attention"], r"was trained with reward\._target_=.*DotReward, the config says .*Cross"),
        (["seed=1", "ids.codes=4"], r"was trained on semantic IDs \w{16}, these are \w{16}"),
    ],
)
def test_a_checkpoint_must_fit(pipeline_of: PipelineOf, words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^checkpoint=.*{NETWORKS} {message}"):
        load_networks(pipeline_of(*words), pipeline_of().checkpoint)


@pytest.mark.parametrize("content", [b"", b"garbage", {"state_dict": {}}, [1, 2]])
def test_garbage_is_no_checkpoint(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "x.ckpt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(ValueError, match=r"^checkpoint=.*x\.ckpt is no file of trained networks$"):
        load(path)
