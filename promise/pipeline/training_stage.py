"""A training as a stage of the store: what names it, how it is fitted and resumed, and what it leaves behind."""

import logging
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from omegaconf import DictConfig, ListConfig
from torch import nn

from promise.data.datamodule import rows_per_process
from promise.data.histories import Histories
from promise.pipeline.config import plain
from promise.pipeline.files import file_fingerprint
from promise.pipeline.networks import WEIGHTS, NetworkInputs, load_weights, save_weights
from promise.pipeline.store import Artifact
from promise.pipeline.trainer import EpochLog, StopAtStep, finish, log_file, make_logger, make_trainer, precision_of

log = logging.getLogger(__name__)

#: The file within an unfinished artifact that its training goes on from.
RESUME = "checkpoints/last.ckpt"

#: Options of Lightning's Trainer that move weights by rounding at most; all others are part of a training's name.
IDLE = frozenset({
    "accelerator", "barebones", "default_root_dir", "detect_anomaly", "devices", "enable_checkpointing",
    "enable_model_summary", "enable_progress_bar", "log_every_n_steps", "logger", "num_nodes", "num_sanity_val_steps",
    "profiler", "strategy",
})  # fmt: skip


class Prepared(Protocol):
    """The inputs that trainings start from; `promise.pipeline.stages.Pipeline` is one."""

    @property
    def cfg(self) -> DictConfig: ...
    @property
    def data(self) -> Artifact: ...
    @property
    def histories(self) -> Histories: ...
    @property
    def ids_path(self) -> Path: ...
    @property
    def network_inputs(self) -> NetworkInputs: ...
    @property
    def network_fingerprints(self) -> dict[str, str]: ...
    def datamodule(self, users: int | None = None, history: int | None = None) -> LightningDataModule: ...


class TrainingStage(ABC):
    """One Lightning training: trainer, logger, selection of the best epoch and resume come with it.

    A stage gives its task and the networks whose weights are kept; to come in through `training=`, it names `pipeline`
    and `before` among the parameters of its constructor, beside its own options.

    Args:
        pipeline: Gives data, IDs and config.
        settings: The stage's own options.

    Attributes:
        name: What it trains; the first part of its artifact's name.
        version: Raised when the code makes something else of the same config and inputs.
        with_reward: Whether a reward model is among the networks that it leaves.
    """

    name: str
    version = 1
    with_reward = False

    def __init__(self, pipeline: Prepared, settings: dict[str, Any]) -> None:
        self.pipeline = pipeline
        self.settings = settings

    @property
    def config(self) -> dict[str, Any]:
        """Every option that its weights depend on; subclasses add those of their networks."""
        cfg = self.pipeline.cfg
        return {
            "task": self.settings,
            "trainer": trainer_options(cfg),
            "batch_size": cfg.datamodule.batch_size,
            "checkpoint_selection": plain(cfg.checkpoint_selection),
            "seed": cfg.seed,
        }

    @property
    def inputs(self) -> dict[str, str]:
        """Name -> fingerprint of everything that it reads."""
        return {"data": self.pipeline.data.fingerprint}

    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module | None]:
        """The untrained networks by name, the same ones for the same seed."""

    @abstractmethod
    def task(self, networks: Mapping[str, Any]) -> Any:
        """The task that trains them, a `promise.tasks.training.SearchSelectedTask`."""

    def datamodule(self) -> LightningDataModule:
        """Batches to train and to validate on."""
        return self.pipeline.datamodule()

    def fit(self, folder: Path) -> dict[str, Any]:
        """Train in a folder that may hold what a killed training left, and keep the best weights there.

        Returns:
            For the manifest: the weights' fingerprint, epochs, the best one, its score by the task's `monitor`
            (`validation_recall@10`) and the seconds of all parts; nothing in a process of a distributed run other than
            the first.

        Raises:
            ValueError: The processes can't share a batch evenly, or the loss became NaN or infinite.
            Stopped: A signal came; what the same training goes on from is saved.
        """
        cfg = self.pipeline.cfg
        networks = self.networks()  # instantiate(cfg.generator), instantiate(cfg.reward)
        task = self.task(networks)  # instantiate(cfg.training)
        logger = make_logger(cfg, f"{self.name}-{cfg.seed}", "train")
        try:
            if isinstance(logger, WandbLogger):
                logger.experiment.define_metric("validation/*", summary=task.mode)
            if self.ids_path is not None:
                log_file(logger, cfg, "semantic-ids", self.ids_path, made=False)
            epochs = EpochLog(self.name)
            callbacks = [epochs, StopAtStep(folder / RESUME)]
            settings = {"max_epochs": task.epochs, "logger": logger, "default_root_dir": folder}
            trainer: Any = make_trainer(cfg, callbacks, **settings)  # instantiate(cfg.trainer)
            rows_per_process(cfg.datamodule.batch_size, trainer.world_size)  # before processes start that each raise
            last = resumable(folder / RESUME)
            if last:
                log.info("going on with the training that was left in %s", folder)
            trainer.fit(task, datamodule=self.datamodule(), ckpt_path=last)
            (kept,) = (each for each in trainer.callbacks if isinstance(each, ModelCheckpoint) and each.monitor)
            if trainer.is_global_zero:
                log_file(logger, cfg, self.name, Path(kept.best_model_path), made=True)
        finally:
            finish(logger)
        if not trainer.is_global_zero:
            return {}
        best_score: Any = kept.best_model_score
        best = torch.load(kept.best_model_path, map_location="cpu", weights_only=True)
        task.load_state_dict(best["state_dict"])
        save_weights(folder / WEIGHTS, networks)
        shutil.rmtree(folder / "checkpoints")
        return {
            "fingerprint": file_fingerprint(folder / WEIGHTS),
            "epochs": trainer.current_epoch,
            "best_epoch": best["epoch"] + 1,
            task.monitor.replace("/", "_"): float(best_score),
            "training_seconds": round(epochs.seconds, 1),
        }

    @property
    def ids_path(self) -> Path | None:
        """File of the semantic IDs that it learns, an input of the logged run; None without."""
        return None

    def load(self, folder: Path) -> Mapping[str, Any]:
        """The trained networks of a finished artifact by name, in evaluation mode."""
        networks = self.networks()
        load_weights(folder / WEIGHTS, networks)
        return networks


def resumable(path: Path) -> Path | None:
    """The checkpoint if it is there and whole."""
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception:
        log.warning("the last checkpoint of an earlier training is damaged: training begins anew")
        return None
    return path


def trainer_options(cfg: DictConfig) -> dict[str, Any]:
    """The trainer's options that can move weights, its precision as it becomes here, and the number of processes.

    Processes draw their own dropout and negatives, so their number moves weights at one global batch too.

    Raises:
        ValueError: If nothing would be kept of a training.
    """
    options = {name: value for name, value in plain(cfg.trainer).items() if name not in IDLE}
    if options.pop("fast_dev_run", False):
        raise ValueError("trainer.fast_dev_run trains nothing that could be kept: use trainer.limit_train_batches")
    devices = cfg.trainer.get("devices", 1)
    if isinstance(devices, ListConfig):
        count = len(devices)
    elif str(devices) in ("auto", "-1"):
        count = 1 if cfg.trainer.get("accelerator") == "cpu" else max(1, torch.cuda.device_count())
    else:
        count = int(devices)
    processes = count * cfg.trainer.get("num_nodes", 1)
    return {**options, "precision": precision_of(cfg), "processes": processes}
