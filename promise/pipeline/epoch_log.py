"""EpochLog: what is trained, what each epoch brought, and how long the rest takes."""

import logging
import math
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

log = logging.getLogger(__name__)


class EpochLog(Callback):
    """Says in the log what is trained, what each epoch brought and how long the rest takes at the measured rate.

    Attributes:
        seconds: How long the training took up to now, its parts before a resume included.
    """

    #: Seconds of steps that the first estimate of the rest is made of.
    MEASURED = 10.0

    def __init__(self, name: str = "networks") -> None:
        self.name = name
        self._before = 0.0
        self._part = time.perf_counter()

    @property
    def seconds(self) -> float:
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
