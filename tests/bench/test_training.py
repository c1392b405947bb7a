"""Training beside T5: every position of ours is a target, both learn, and peers that are missing are said."""

import sys
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from promise import configs
from promise.bench import training
from promise.bench.measure import Skipped
from promise.bench.worlds import catalogue

RECIPE = ["generator=tiny", "generator.dim=16", "datamodule.history=5"]


def losses(what: training.Training, count: int, dtype: torch.dtype = torch.float32) -> list[float]:
    """Loss before each of `count` steps and after them."""
    found: list[float] = []

    def noted() -> Tensor:
        loss = what.loss()
        found.append(float(loss.detach()))
        return loss

    step = training.step(what._replace(loss=noted), dtype, "cpu")
    for _ in range(count):
        step()
    return found


def test_every_item_but_the_first_is_a_target() -> None:
    batch = training.windows(1000, 2, 2, "cpu")
    assert batch.history[:, 1].tolist() == batch.targets[:, 0].tolist() and batch.targets.shape == (2, 2)
    assert batch.positions.tolist() == [[0, 1], [0, 1]] and batch.lengths.tolist() == [2, 2]


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["joint", "generator"])
def test_our_steps_lower_the_loss(name: str, dtype: torch.dtype) -> None:
    codes = catalogue(300)
    what = training.ours([*RECIPE, f"training={name}"], codes, training.windows(300, 8, 5, "cpu"))
    assert what.targets == 40
    found = losses(what, 12, dtype)
    assert found[-1] < found[0]
    names = {name.partition(".")[0] for name, _ in what.network.named_parameters()}
    assert names == ({"generator", "reward"} if name == "joint" else {"generator"})


def test_their_steps_lower_the_loss() -> None:
    pytest.importorskip("transformers")
    shape: Any = configs.compose(RECIPE).generator
    what = training.theirs(shape, catalogue(300), training.windows(300, 8, 5, "cpu"))
    config = what.network.config
    assert (config.d_model, config.d_ff, config.d_kv * config.num_heads) == (16, 64, 16)
    assert (config.num_layers, config.num_decoder_layers) == (shape.encoder_layers, shape.decoder_layers)
    assert what.targets == 8
    found = losses(what, 12)
    assert found[-1] < found[0]


def test_without_transformers_it_is_skipped(quick: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(Skipped, match=r"needs transformers: pip install -e '.\[bench\]'"):
        list(training.training(quick))
