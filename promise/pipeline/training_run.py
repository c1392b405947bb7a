"""One training: fit a task in a folder that may hold what a killed one left, and keep its best weights there."""

import hashlib
import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from omegaconf import DictConfig

from promise.data.datamodule import rows_per_process
from promise.pipeline.trainer import EpochLog, StopAtStep, finish, log_file, make_logger, make_trainer
from promise.tasks.training import TrainingTask

log = logging.getLogger(__name__)

#: The file within an unfinished artifact that its training goes on from.
RESUME = "checkpoints/last.ckpt"


def train(
    cfg: DictConfig,
    task: TrainingTask,
    name: str,
    folder: Path,
    data: LightningDataModule,
    ids: Path | None = None,
) -> dict[str, Any] | None:
    """Train a task, from where a killed training left it; it then holds its best weights.

    Args:
        cfg: The root config.
        task: The task; its `epochs` are an upper end.
        name: What is trained, for the log and the logger.
        folder: Where checkpoints lie until `clear_checkpoints`.
        data: What to train and to validate on.
        ids: File of the semantic IDs that the task learns, an input of the run; None without.

    Returns:
        Epochs, the best one, its score by the task's `monitor` (`validation_recall@10`) and the seconds of all parts,
        for the manifest; None in a process of a distributed run that keeps nothing.

    Raises:
        ValueError: The processes can't share a batch evenly, or the loss became NaN or infinite.
        Stopped: A signal came; what the same training goes on from is saved.
    """
    logger = make_logger(cfg, f"{name}-{cfg.seed}", "train")
    try:
        if isinstance(logger, WandbLogger):
            logger.experiment.define_metric("validation/*", summary=task.mode)
        if ids is not None:
            log_file(logger, cfg, "semantic-ids", ids, made=False)
        epochs = EpochLog(name)
        trainer: Any = make_trainer(
            cfg,
            max_epochs=task.epochs,
            logger=logger,
            default_root_dir=folder,
            extra_callbacks=[epochs, StopAtStep(folder / RESUME)],
        )
        rows_per_process(cfg.datamodule.batch_size, trainer.world_size)  # before processes start that each would raise
        last = resumable(folder / RESUME)
        if last:
            log.info("going on with the training that was left in %s", folder)
        trainer.fit(task, datamodule=data, ckpt_path=last)
        (kept,) = (each for each in trainer.callbacks if isinstance(each, ModelCheckpoint) and each.monitor)
        if trainer.is_global_zero:
            log_file(logger, cfg, name, Path(kept.best_model_path), made=True)
    finally:
        finish(logger)
    if not trainer.is_global_zero:
        return None
    best_score: Any = kept.best_model_score
    best = torch.load(kept.best_model_path, map_location="cpu", weights_only=True)
    task.load_state_dict(best["state_dict"])
    return {
        "epochs": trainer.current_epoch,
        "best_epoch": best["epoch"] + 1,
        task.monitor.replace("/", "_"): float(best_score),
        "training_seconds": round(epochs.seconds, 1),
    }


def clear_checkpoints(folder: Path) -> None:
    """Remove what a training went on from, once its networks are kept."""
    shutil.rmtree(folder / "checkpoints")


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


def file_fingerprint(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file's contents."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
