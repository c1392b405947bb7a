"""Trainers and loggers of the config; what Lightning refuses is told in one line."""

import copy
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.utils.data import DataLoader

from promise import configs
from promise.pipeline.trainer import EpochLog, arithmetic, finish, log_file, make_logger, make_trainer, resumable
from tests.wandb_file import finished, items

BASE = configs.compose(["logger=csv", "trainer.precision=32-true"])


def changed(**dials: Any) -> DictConfig:
    cfg = copy.deepcopy(BASE)
    for name, value in dials.items():
        OmegaConf.update(cfg, name, value)
    return cfg


class Small(LightningModule):
    """One weight to train."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        loss = (self.weight * batch).sum()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"trainer.devices": 0}, r"trainer: .*devices=0"),
        ({"trainer.precision": "abc"}, r"trainer: Precision 'abc' is invalid"),
        ({"trainer.strategy": "magic"}, r"trainer: .*magic"),
    ],
)
def test_what_lightning_refuses_is_a_check(dials: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_trainer(changed(**dials))


@pytest.mark.parametrize(
    ("has", "accelerator", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "cpu", "bf16-mixed"),
        ({"avx2": True, "avx512_bf16": False}, "cpu", "32-true"),
        ({"avx512_bf16": True}, "gpu", "32-true"),  # no GPU here
    ],
)
def test_the_processor_chooses_the_precision(has, accelerator, expected, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert arithmetic("auto", accelerator) == expected
    assert arithmetic("bf16-mixed", accelerator) == "bf16-mixed"
    assert make_trainer(changed(**{"trainer.precision": "auto"})).precision == arithmetic("auto", "cpu")


def test_a_training_logs_its_epochs_its_config_and_when_asked_its_artifacts(tmp_path: Path) -> None:
    cfg = configs.compose(
        [f"store={tmp_path}", "logger.artifacts=true", "sweep.name=mine", "trainer.precision=32-true"]
    )
    ids = tmp_path / "ids.npz"
    ids.write_bytes(b"ids")
    logger = make_logger(cfg, "small-0", "train")
    log_file(logger, cfg, "semantic-ids", ids, made=False)
    log_file(logger, cfg, "joint", ids, made=True)
    trainer = make_trainer(cfg, max_epochs=2, logger=logger, default_root_dir=tmp_path)
    trainer.fit(Small(), DataLoader([1.0] * 10, batch_size=None))
    finish(logger)
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    found = finished(file)
    (run,) = [record.run for record in found if record.HasField("run")][:1]
    assert (run.run_group, run.job_type, run.display_name) == ("mine", "train", "small-0")
    (config,) = [items(record.config.update) for record in found if record.HasField("config")]
    assert config["config"]["sweep"]["name"] == "mine" and config["config"]["generator"]["dim"] == 128
    history = [items(record.history.item) for record in found if record.HasField("history")]
    assert [entry["epoch"] for entry in history] == [0, 1] and "train/loss" in history[0]
    artifacts = [record.request.log_artifact.artifact for record in found if record.request.HasField("log_artifact")]
    artifacts += [record.artifact for record in found if record.HasField("artifact")]
    assert [artifact.type for artifact in artifacts] == ["dataset", "model"]


def test_input_artifacts_online_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = configs.compose([f"store={tmp_path}", "logger.artifacts=true", "logger.mode=online"])
    path = tmp_path / "ids.npz"
    path.write_bytes(b"ids")
    used: list[Any] = []
    logged: list[Any] = []

    class Online(WandbLogger):
        experiment = SimpleNamespace(use_artifact=used.append, log_artifact=logged.append)

    log_file(Online.__new__(Online), cfg, "semantic-ids", path, made=False)
    log_file(Online.__new__(Online), cfg, "joint", path, made=True)
    assert [(artifact.name, artifact.type) for artifact in used] == [("semantic-ids", "dataset")]
    cfg.logger.artifacts = False
    log_file(Online.__new__(Online), cfg, "semantic-ids", path, made=False)
    log_file(CSVLogger(tmp_path), cfg, "semantic-ids", path, made=False)
    assert (len(used), len(logged)) == (1, 1)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("lightning.pytorch.loggers.TensorBoardLogger", "^logger: .*tensorboard"),
        ("lightning.pytorch.loggers.MLFlowLogger", "^logger: MLFlowLogger.*"),
        ("nowhere.Logger", "^logger: Error locating target 'nowhere.Logger'"),
    ],
)
def test_a_missing_library_is_a_check(target: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("tensorboard", "tensorboardX", "mlflow"):
        monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr("lightning.pytorch.loggers.tensorboard._TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr("lightning.fabric.loggers.tensorboard._TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr("lightning.fabric.loggers.tensorboard._TENSORBOARDX_AVAILABLE", False)
    with pytest.raises(ValueError, match=message):
        make_logger(changed(**{"logger._target_": target}), "a", "train")


def test_epochs_their_size_and_the_rest_of_the_time_are_logged(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(EpochLog, "MEASURED", 0.0)
    epochs = EpochLog("small")
    epochs.load_state_dict({"seconds": 1000.0})
    trainer = make_trainer(
        BASE, max_epochs=2, default_root_dir=tmp_path, enable_checkpointing=False, extra_callbacks=[epochs]
    )
    with caplog.at_level(logging.INFO, "promise.pipeline.trainer"):
        trainer.fit(Small(), DataLoader([1.0, 2.0, 3.0], batch_size=None))
    said = [record.message for record in caplog.records]
    assert said[0] == "training small: 3 parameters, at most 2 epochs of 3 steps"
    assert said[1] == "at most about 1 min left, validation aside"
    assert [line.split(":")[0] for line in said[2:]] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert "train/loss" in said[2] and said[2].endswith("at most about 1 min left)") and "left" not in said[3]
    assert 1000 < epochs.state_dict()["seconds"] < 1060


def test_resumable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    path.parent.mkdir()
    assert resumable(path) is None and caplog.text == ""
    torch.save({"epoch": 3}, path)
    assert resumable(path) == path
    path.write_bytes(path.read_bytes()[:100])
    assert resumable(path) is None
    assert "training begins anew" in caplog.text
