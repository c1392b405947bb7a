"""Lightning's Trainer, callbacks and loggers: quiet on stdout, bars and a log on stderr, one W&B group a sweep."""

import logging
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import torch
from hydra.errors import InstantiationException
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, RichProgressBar
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, ListConfig

from promise.pipeline.config import make, plain, without_passwords
from promise.pipeline.signals import Stopped, let_wait, pending

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

#: Options of Lightning's Trainer that move weights by rounding at most; all others are part of a training's name.
IDLE = frozenset({
    "accelerator", "barebones", "default_root_dir", "detect_anomaly", "devices", "enable_checkpointing",
    "enable_model_summary", "enable_progress_bar", "log_every_n_steps", "logger", "num_nodes", "num_sanity_val_steps",
    "profiler", "strategy",
})  # fmt: skip

#: Options of conf/logger/wandb.yaml that are ours and not W&B's.
OURS = ("fallback", "artifacts")


def quiet() -> None:
    """Keep Lightning's and W&B's chatter off the screen; warnings that matter stay."""
    os.environ.setdefault("WANDB_SILENT", "true")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in NOT_NEWS:
        warnings.filterwarnings("ignore", message=message)


def make_trainer(cfg: DictConfig, extra_callbacks: Sequence[Callback] = (), **settings: Any) -> Trainer:
    """The trainer of the config with a bar on stderr; `settings` win; ValueError if Lightning can't do as it says."""
    quiet()
    bar = [RichProgressBar(console_kwargs={"stderr": True})] if sys.stderr.isatty() else []
    defaults: dict[str, Any] = {
        "precision": precision_of(cfg),
        "logger": False,
        "callbacks": [*bar, *extra_callbacks],
        "enable_progress_bar": bool(bar),
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 10,
        "use_distributed_sampler": False,
    }
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


def trainer_options(cfg: DictConfig) -> dict[str, Any]:
    """The trainer's options that can move weights, its precision as it becomes here, and the number of processes.

    Processes draw their own dropout and negatives, so their number moves weights at one global batch too. ValueError if
    nothing would be kept of a training.
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


class StopAtStep(Checkpoint):
    """Lets a signal wait for the end of a training step, saves there what a resume goes on from, and stops.

    In validation and after an epoch's last step a signal acts at once: the epoch before is what is kept then. As a
    `Checkpoint` it comes after all callbacks that take part in a step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_fit_start(self, trainer: Trainer, task: LightningModule) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, task: LightningModule) -> None:
        # Lightning has set one of its own since, which ends with exit code 0 and talks to other processes in between.
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, self._handler)
        let_wait(True)

    def on_train_batch_end(self, trainer: Trainer, task: LightningModule, outputs: Any, batch: Any, index: int) -> None:
        number = pending()
        if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(number is not None, all=False):
            number = number or signal.SIGTERM  # another process was asked to end: they save together
        if number is not None:
            let_wait(False)
            if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
                raise Stopped(number)
            try:
                trainer.save_checkpoint(self.path)
            except (OSError, RuntimeError) as error:  # a full disk must not keep the command from ending
                raise Stopped(number, f"this epoch could not be saved: {error}") from None
            where = f"step {index + 1} of {trainer.num_training_batches} in epoch {trainer.current_epoch + 1}"
            raise Stopped(number, f"the same command goes on after {where}")

    def on_validation_start(self, trainer: Trainer, task: LightningModule) -> None:
        let_wait(False)
        if (number := pending()) is not None:
            raise Stopped(number)

    def on_validation_end(self, trainer: Trainer, task: LightningModule) -> None:
        let_wait(True)  # the epoch's checkpoints are written next

    def teardown(self, trainer: Trainer, task: LightningModule, stage: str) -> None:
        let_wait(False)
        if (number := pending()) is not None:
            raise Stopped(number)

    def on_exception(self, trainer: Trainer, task: LightningModule, exception: BaseException) -> None:
        let_wait(False)


class EpochLog(Callback):
    """Says in the log what is trained, what each epoch brought and how long the rest takes at the measured rate."""

    #: Seconds of steps that the first estimate of the rest is made of.
    MEASURED = 10.0

    def __init__(self, name: str = "networks") -> None:
        self.name = name
        self._before = 0.0
        self._part = time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long the training took up to now, its parts before a resume included."""
        return self._before + time.perf_counter() - self._part

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict["seconds"]

    def on_train_start(self, trainer: Trainer, task: LightningModule) -> None:
        size = sum(p.numel() for p in task.parameters())
        steps = f"at most {trainer.max_epochs} epochs of {trainer.num_training_batches} steps"
        log.info("training %s: %s parameters, %s", self.name, f"{size:,}", steps)
        self._epoch = time.perf_counter()  # also of a part that begins within an epoch
        self._first: tuple[float, int] | None = None  # when the first step of this part ended, and its number
        self._estimated = False

    def on_train_epoch_start(self, trainer: Trainer, task: LightningModule) -> None:
        self._epoch = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, task: LightningModule, outputs: Any, batch: Any, index: int) -> None:
        now, steps = time.perf_counter(), int(trainer.num_training_batches)
        done = trainer.current_epoch * steps + index + 1
        if self._first is None:
            self._first = now, done
        elif not self._estimated and now - self._first[0] >= self.MEASURED:
            rate = (now - self._first[0]) / (done - self._first[1])
            log.info("%s left, validation aside", minutes(rate * ((trainer.max_epochs or 0) * steps - done)))
            self._estimated = True

    def on_train_epoch_end(self, trainer: Trainer, task: LightningModule) -> None:
        values = sorted(trainer.callback_metrics.items())
        figures = ", ".join(f"{name} {float(value):.4f}" for name, value in values if "learning_rate" not in name)
        seconds, epoch = time.perf_counter() - self._epoch, trainer.current_epoch + 1
        left = (trainer.max_epochs or 0) - epoch
        self._estimated = True
        rest = f"; {minutes(seconds * left)} left" if left else ""
        log.info("epoch %d of %s: %s (%.0f s%s)", epoch, trainer.max_epochs, figures, seconds, rest)


def minutes(seconds: float) -> str:
    """An upper end of a time in words.

    >>> minutes(50), minutes(500)
    ('at most about 1 min', 'at most about 9 min')
    """
    return f"at most about {math.ceil(seconds / 60)} min"


def resumable(path: Path) -> Path | None:
    """The checkpoint that a training goes on from, if it is there and whole."""
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception:
        log.warning("the last checkpoint of an earlier training is damaged: training begins anew")
        return None
    log.info("going on with the training that was left in %s", path.parent)
    return path


def make_logger(cfg: DictConfig, name: str, job_type: str) -> Logger:
    """The logger of the config, which it is told, for a run (`train`, `evaluate`); ValueError if there is none."""
    quiet()
    options = {key: value for key, value in plain(cfg.logger).items() if key not in OURS}
    given = {"name": f"{job_type}-{name}"}
    if wandb := "WandbLogger" in options["_target_"]:
        given = {"name": name, "group": cfg.sweep.name, "job_type": job_type}
        os.makedirs(cfg.logger.save_dir, exist_ok=True)
    try:
        logger: Any = make(options, **given)
    except (ModuleNotFoundError, TypeError, InstantiationException) as error:
        raise ValueError(f"logger: {error}") from None
    if wandb:
        logger._wandb_init.pop("anonymous", None)  # W&B warns of the mere name, which Lightning always passes
    logger.log_hyperparams({"config": without_passwords(plain(cfg))})
    return logger


def log_file(logger: Logger, cfg: DictConfig, name: str, path: Path, made: bool) -> None:
    """Keep a file as a W&B artifact, when artifacts are asked for: one that the run made, else one it started from."""
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
