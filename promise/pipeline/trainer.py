"""Lightning's Trainer and loggers, made of the config: quiet on stdout, bars on stderr, one W&B group a sweep."""

import logging
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from promise.pipeline.config import make, plain, without_passwords

log = logging.getLogger(__name__)

#: Lightning's advice on things that are meant so here.
NOT_NEWS = (
    ".*does not have many workers.*",
    ".*smaller than the logging interval.*",
    ".*LeafSpec.*",
    ".*Experiment logs directory.*exists and is not empty.*",
    ".*Checkpoint directory.*exists and is not empty.*",
    ".*GPU available but not used.*",
    ".*Found .* module.* in eval mode.*",
    ".*treespec.*",
)


#: Dials of conf/logger/wandb.yaml that are ours and not W&B's.
OUR_DIALS = ("fallback", "artifacts")


def quiet() -> None:
    """Keep Lightning's and W&B's chatter off the screen; warnings that matter stay."""
    os.environ.setdefault("WANDB_SILENT", "true")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in NOT_NEWS:
        warnings.filterwarnings("ignore", message=message)


def make_trainer(cfg: DictConfig, extra_callbacks: Sequence[Callback] = (), **settings: Any) -> Trainer:
    """The configured trainer with a progress bar on stderr.

    Args:
        cfg: The root config.
        extra_callbacks: Callbacks beside the progress bar.
        settings: Further arguments of Lightning's Trainer; they win over the config. A precision `auto` is what
            `arithmetic` says.

    Raises:
        ValueError: If Lightning can't do what the config says, on this machine or at all.
    """
    quiet()
    bar = [RichProgressBar(console_kwargs={"stderr": True})] if sys.stderr.isatty() else []
    defaults: dict[str, Any] = {
        "logger": False,
        "callbacks": [*bar, *extra_callbacks],
        "enable_progress_bar": bool(bar),
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 10,
        "use_distributed_sampler": False,
    }
    defaults["precision"] = precision_of(cfg)
    try:
        return make(cfg.trainer, **{**defaults, **settings})
    except (MisconfigurationException, ValueError) as error:
        raise ValueError(f"trainer: {error}") from error


def precision_of(cfg: DictConfig) -> str:
    """Lightning's name of the arithmetic that the root config trains in."""
    return arithmetic(str(cfg.trainer.precision), cfg.trainer.accelerator)


def arithmetic(precision: str, accelerator: str) -> str:
    """Lightning's name of a precision; `auto` is bf16-mixed where the processor multiplies it, else 32-true.

    A CPU without instructions for bf16 takes about fifty times as long for it as for float32.
    """
    if precision != "auto":
        return precision
    if accelerator == "cpu":
        return "bf16-mixed" if any(map(torch.cpu.get_capabilities().get, ("avx512_bf16", "amx_bf16"))) else "32-true"
    return "bf16-mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported(False) else "32-true"


class EpochLog(Callback):
    """One line in the log per epoch, for terminals without bars and for those who come back later."""

    def on_train_epoch_start(self, trainer: Trainer, task: LightningModule) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, task: LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        figures = ", ".join(f"{name} {value:.4f}" for name, value in sorted(values.items()))
        seconds = time.perf_counter() - self.began
        log.info("epoch %d of %s: %s (%.0f s)", trainer.current_epoch + 1, trainer.max_epochs, figures, seconds)


def make_logger(cfg: DictConfig, name: str, job_type: str) -> Logger:
    """The configured logger for one run; it knows the run's config.

    Args:
        cfg: The root config.
        name: Name of the run.
        job_type: `train` or `evaluate` (W&B).

    Raises:
        ValueError: If the logger's library is not installed.
    """
    quiet()
    if "WandbLogger" in cfg.logger["_target_"]:
        logger: Logger = wandb_logger(cfg, name, job_type)
    else:
        try:
            logger = make(cfg.logger, name=f"{job_type}-{name}")
        except ModuleNotFoundError as error:
            raise ValueError(f"logger: {error}") from error
    logger.log_hyperparams({"config": without_passwords(plain(cfg))})
    return logger


def wandb_logger(cfg: DictConfig, name: str, job_type: str) -> WandbLogger:
    """A W&B run in the group of its sweep."""
    os.makedirs(cfg.logger.save_dir, exist_ok=True)
    settings = {dial: value for dial, value in plain(cfg.logger).items() if dial not in OUR_DIALS}
    logger: WandbLogger = make(settings, name=name, group=cfg.sweep.name, job_type=job_type)
    logger._wandb_init.pop("anonymous", None)  # W&B warns of the mere name, which Lightning always passes
    return logger


def log_file(logger: Logger, cfg: DictConfig, name: str, path: Path, made: bool) -> None:
    """Keep a file as a W&B artifact, when artifacts are asked for.

    Args:
        logger: The logger of the run.
        cfg: The root config.
        name: Name of the artifact, such as `semantic-ids`.
        path: The file.
        made: Whether the run made it; else the run started from it.
    """
    if not isinstance(logger, WandbLogger) or not cfg.logger.get("artifacts"):
        return
    import wandb

    artifact = wandb.Artifact(name, type="model" if made else "dataset")
    artifact.add_file(str(path))
    run = logger.experiment
    # What a run uses is in the lineage of what it makes; offline W&B can't look it up, only log it.
    (run.log_artifact if made or cfg.logger.mode == "offline" else run.use_artifact)(artifact)


def finish(logger: Logger) -> None:
    """End the run, so that the next one of this process is a run of its own."""
    logger.finalize("success")
    if isinstance(logger, WandbLogger):
        logger.experiment.finish()
