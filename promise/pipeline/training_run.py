"""One training: fit a task in a folder that may hold what a killed one left, and keep its best weights there."""

import hashlib
import logging
import shutil
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from omegaconf import DictConfig

from promise.pipeline.trainer import EpochLog, finish, log_file, make_logger, make_trainer
from promise.tasks.training import SearchSelectedTask

log = logging.getLogger(__name__)

#: The file within an unfinished artifact that its training goes on from.
RESUME = "checkpoints/last.ckpt"

#: Share of a large matrix product's speed that training reaches, by precision, for the estimate of its minutes.
TRAINING_EFFICIENCY = {"32-true": 0.3, "bf16-mixed": 0.1}


@dataclass(frozen=True)
class Work:
    """What a training has to do.

    Attributes:
        parameters: Learned numbers.
        epochs: The most passes over the training windows.
        steps: Batches of one pass.
        flops: FLOPs of all passes, forward and backward.
        precision: Arithmetic, in Lightning's words.
    """

    parameters: int
    epochs: int
    steps: int
    flops: float
    precision: str

    @property
    def minutes(self) -> float:
        """About how long that takes on this machine's CPU, at most."""
        return self.flops / (TRAINING_EFFICIENCY.get(self.precision, 0.1) * matmul_flops(self.precision)) / 60

    def announcement(self, name: str) -> str:
        """What is about to be trained, and about how long that takes."""
        return (
            f"training {name}: {self.parameters:,} parameters, {self.epochs} epochs of {self.steps} steps, "
            f"at most about {max(1, round(self.minutes))} min"
        )


def train(
    cfg: DictConfig,
    task: SearchSelectedTask,
    name: str,
    folder: Path,
    data: LightningDataModule,
    ids: Path | None = None,
) -> dict[str, Any] | None:
    """Train a task, from where a killed training left it; it then holds its best weights.

    Args:
        cfg: The root config.
        task: The task; its `epochs` are an upper end.
        name: What is trained, for the logger.
        folder: Where checkpoints lie until `clear_checkpoints`.
        data: What to train and to validate on.
        ids: File of the semantic IDs that the task learns, an input of the run; None without.

    Returns:
        Epochs, the best one, its validation score and the seconds, for the manifest; None in a process of a
        distributed run that keeps nothing.

    Raises:
        SystemExit: The training was interrupted.
    """
    logger = make_logger(cfg, f"{name}-{cfg.seed}", "train")
    if ids is not None:
        log_file(logger, cfg, "semantic-ids", ids, made=False)
    trainer = make_trainer(
        cfg, max_epochs=task.epochs, logger=logger, default_root_dir=folder, extra_callbacks=[EpochLog()]
    )
    last = resumable(folder / RESUME)
    if last:
        log.info("going on with the training that was left in %s", folder)
    began = time.perf_counter()
    try:
        trainer.fit(task, datamodule=data, ckpt_path=last)
        checkpoint: Any = trainer.checkpoint_callback
        if trainer.is_global_zero and not trainer.interrupted:
            log_file(logger, cfg, name, Path(checkpoint.best_model_path), made=True)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        finish(logger)
    if trainer.interrupted:
        raise SystemExit(130)
    if not trainer.is_global_zero:
        return None
    best = torch.load(checkpoint.best_model_path, map_location="cpu", weights_only=True)
    task.load_state_dict(best["state_dict"])
    return {
        "epochs": trainer.current_epoch,
        "best_epoch": best["epoch"] + 1,
        "validation_recall@10": float(checkpoint.best_model_score),
        "training_seconds": round(time.perf_counter() - began, 1),
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


@cache
def matmul_flops(precision: str) -> float:
    """FLOP/s of one large matrix product on this machine's CPU, in a precision of Lightning's; the best of a few."""
    left = torch.ones(512, 512, dtype=torch.bfloat16 if precision.startswith("bf16") else torch.float32)
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        torch.mm(left, left)
        seconds.append(time.perf_counter() - began)
    return 2 * 512**3 / min(seconds)
