"""The tasks that other trainings build on: one that optimises and keeps its best, one that a ranking selects."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from torch import Tensor, nn
from torchmetrics import MeanMetric

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.metrics.ranking import ndcg_values, recall_values, target_ranks
from promise.search.protocols import NotANumber, Ranker
from promise.tasks.schedule import LAZY_STEPS, adamw, clip, make_sparse

#: The metric that chooses the best checkpoint of a task that a ranking selects.
SELECTION = "validation/recall@10"


class Targets(nn.Module):
    """Items as paths of the trie: their codes (I, L), and the node of each of their prefixes (I, L + 1)."""

    codes: Tensor
    nodes: Tensor

    def __init__(self, trie: Trie) -> None:
        super().__init__()
        depths = range(trie.levels + 1)
        nodes = torch.stack([trie.item_nodes(depth) for depth in depths], dim=1)  # (I, L+1)
        self.register_buffer("nodes", nodes, persistent=False)
        self.register_buffer("codes", trie.prefixes(trie.levels)[nodes[:, -1]], persistent=False)


class TrainingTask(LightningModule):
    """Training with AdamW whose random numbers follow from (seed, epoch, step, rank), and that keeps its best epoch.

    A subclass brings `training_step`, whose loss comes from `total_loss`, and a `validation_step` that logs `monitor`.

    Args:
        learning_rate: Peak learning rate.
        weight_decay: Decay of matrices and tables.
        warmup_steps: Optimiser steps of linear warm-up.
        epochs: Passes over the training rows, at most.
        patience: Epochs without a better validation score before training ends.
        ema_decay: Decay per step, in (0, 1), of the running mean of the weights that is validated and kept; null = the
            weights themselves. Deviation: the paper speaks of no such mean.
        seed: Seeds dropout and negatives of each step, so that a resumed training is the same training.
        monitor: The logged metric that chooses the best epoch.
        mode: Whether more of it is better (`max`) or less (`min`).

    Attributes:
        stage: What its training is called; the first part of its artifact's name.
        with_reward: Whether a reward model is among the networks that it leaves.
        sparse_rows: Tables of at least so many rows learn only in the rows that a step uses; None = none does.
    """

    stage = "training"
    with_reward = True
    sparse_rows: int | None = None

    def __init__(
        self,
        learning_rate: float,
        weight_decay: float,
        warmup_steps: int,
        epochs: int,
        patience: int,
        ema_decay: float | None,
        *,
        seed: int,
        monitor: str,
        mode: str,
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_steps = warmup_steps
        self.epochs = epochs
        self.patience = patience
        self.ema_decay = ema_decay
        self.seed = seed
        self.monitor = monitor
        self.mode = mode
        self._losses: dict[str, Tensor] = {}

    def on_train_batch_start(self, batch: Any, index: int) -> None:
        drawn = np.random.SeedSequence([self.seed, self.current_epoch, index, self.global_rank])
        torch.manual_seed(int(drawn.generate_state(1, np.uint64)[0]))
        self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])

    def total_loss(self, losses: Mapping[str, Tensor], weights: Mapping[str, float] | None = None) -> Tensor:
        """The loss of a step, with its parts logged as `train/NAME` and remembered by their depth.

        Args:
            losses: By name, a scalar or (L,), one per level, to be summed.
            weights: Factors of the parts in the total; a missing one is 1.

        Returns:
            A scalar.
        """
        self._losses = {name: loss.detach() for name, loss in losses.items()}
        self.log_dict({f"train/{name}": loss.sum() for name, loss in losses.items()}, prog_bar=True)
        return torch.stack([(weights or {}).get(name, 1.0) * loss.sum() for name, loss in losses.items()]).sum()

    def on_before_backward(self, loss: Tensor) -> None:
        """Refuse a loss that is no number; on accelerators, which a look at it makes wait, every so many steps.

        Raises:
            ValueError: Naming the step, the first loss that is no number, its level, and the option to lower.
        """
        trainer: Any = self.trainer
        step = trainer.fit_loop.epoch_loop.batch_progress.total.ready
        if self.device.type != "cpu" and step % trainer.log_every_n_steps:
            return
        if not torch.isfinite(loss):
            found = (
                (f"{name} at level {level}" if each.ndim else name, float(value))
                for name, each in self._losses.items()
                for level, value in enumerate(each.reshape(-1), 1)
            )
            name, value = next(((n, v) for n, v in found if not np.isfinite(v)), ("loss", float(loss.detach())))
            raise ValueError(f"{name.replace('_', ' ')} is {value} {self.where()}")

    def where(self) -> str:
        """Where in the training a number went wrong, and the option to lower."""
        step = self.trainer.fit_loop.epoch_loop.batch_progress.total.ready
        rate = f"training.learning_rate={self.learning_rate:g}"
        return f"at training step {step} (epoch {self.current_epoch + 1}): lower {rate}"

    def configure_optimizers(self) -> Any:
        optimizer, schedule = adamw(
            self.parameters(),
            self.learning_rate,
            self.weight_decay,
            self.warmup_steps,
            int(self.trainer.estimated_stepping_batches),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if gradient_clip_val:
            clip(self.parameters(), gradient_clip_val, str(gradient_clip_algorithm or "norm"))

    def configure_callbacks(self) -> list[Callback]:
        """Keep the best and the last checkpoint; stop when validation no longer improves; average the weights."""
        folder = Path(self.trainer.default_root_dir) / "checkpoints"
        every = LAZY_STEPS if make_sparse(self, self.sparse_rows) else 1
        average = [] if self.ema_decay is None else [RunningMean(self.ema_decay, every)]
        return [
            *average,
            ModelCheckpoint(folder, "best", monitor=self.monitor, mode=self.mode, enable_version_counter=False),
            # Lightning's own `save_last` skips the epochs that are not the best so far.
            ModelCheckpoint(folder, "last", enable_version_counter=False),
            EarlyStopping(monitor=self.monitor, mode=self.mode, patience=self.patience),
        ]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on in this folder wherever the checkpoint was written: Lightning forgets what is best in another one."""
        folder = os.path.realpath(Path(self.trainer.default_root_dir) / "checkpoints")
        for state in checkpoint["callbacks"].values():
            if before := state.get("dirpath"):
                for name in ("dirpath", "best_model_path", "kth_best_model_path", "last_model_path"):
                    state[name] = state[name].replace(before, folder, 1)
                found = state["best_k_models"].items()
                state["best_k_models"] = {path.replace(before, folder, 1): score for path, score in found}


class RunningMean(WeightAveraging):
    """Running mean of the weights, taken every so many steps and after an epoch's last one.

    Args:
        decay: Share of the mean that stays at each step, in the long run.
        every: Steps between.
    """

    def __init__(self, decay: float, every: int) -> None:
        super().__init__(use_buffers=False, avg_fn=partial(mean, decay**every))
        self._every = every

    def on_train_batch_end(self, trainer: Any, pl_module: LightningModule, *step: Any) -> None:
        self._due = trainer.is_last_batch or trainer.global_step % self._every == 0
        super().on_train_batch_end(trainer, pl_module, *step)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and self._due


class RankingSelectedTask(TrainingTask):
    """Training whose best epoch is that of the highest Recall@10 of a ranker over validation users.

    Args:
        ranker: What validation ranks with.
        seed: As in `TrainingTask`, whose options are `schedule`.
    """

    def __init__(self, *, ranker: Ranker, seed: int, **schedule: Any) -> None:
        super().__init__(**schedule, seed=seed, monitor=SELECTION, mode="max")
        self.ranker = ranker
        self.recall, self.ndcg = (MeanMetric().set_dtype(torch.float64) for _ in range(2))  # sums: processes add up

    def validation_step(self, batch: Batch, index: int) -> None:
        # Rewards of neighbouring candidates differ by less than bf16 can tell.
        with torch.autocast(self.device.type, enabled=False):
            try:
                items = self.ranker.rank(batch, 10).items
            except NotANumber as error:
                raise ValueError(f"{error} {self.where()}") from error
        ranks = target_ranks(items, batch.targets[:, 0])
        for metric, values in ((self.recall, recall_values), (self.ndcg, ndcg_values)):
            metric.update(torch.from_numpy(values(ranks.cpu().numpy(), 10)).to(self.device))
        self.log(SELECTION, self.recall, prog_bar=True, batch_size=len(ranks))
        self.log("validation/ndcg@10", self.ndcg, batch_size=len(ranks))


class SearchSelectedTask(RankingSelectedTask):
    """Training of networks over semantic IDs that a search with them selects.

    Args:
        sparse_rows: Tables of at least so many rows learn only in the rows that a step uses (`LazyAdamW`); null = none.
        generator: The generator.
        reward: The reward model, or None.
        trie: The catalogue's trie.
        ranker: The search that validation uses.
        seed: As in `TrainingTask`, whose options are `schedule`.
    """

    def __init__(
        self,
        sparse_rows: int | None = None,
        *,
        generator: nn.Module,
        reward: nn.Module | None,
        trie: Trie,
        ranker: Ranker,
        seed: int,
        **schedule: Any,
    ) -> None:
        super().__init__(**schedule, ranker=ranker, seed=seed)
        self.sparse_rows = sparse_rows
        self.generator = generator
        self.reward = reward
        self.trie = trie
        self.items = Targets(trie)

    def configure_callbacks(self) -> list[Callback]:
        for depth in range(self.trie.levels + 1):
            self.trie.branching(depth)  # weight averaging pairs buffers by their order: none may come later
        return super().configure_callbacks()


def mean(decay: float, averaged: Tensor, current: Tensor, steps: Tensor) -> Tensor:
    """The running mean of a weight after one more step; the first steps are forgotten sooner.

    Args:
        decay: Share of the mean that stays, in the long run.
        averaged: The mean so far.
        current: The weight now, of the same shape.
        steps: Number of steps in the mean so far, a scalar.
    """
    return averaged.lerp(current.to(averaged.dtype), 1 - min(decay, (1 + int(steps)) / (10 + int(steps))))


def real_targets(batch: Batch) -> Tensor:
    """(B, P), True where there is a target."""
    return batch.targets >= 0
