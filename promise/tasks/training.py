"""What the three trainings share: targets as paths, optimiser, and selection by search on validation users."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from torch import Tensor, nn

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.metrics.ranking import NDCG, Recall, target_ranks
from promise.search.protocols import Ranker
from promise.tasks.schedule import adamw

#: What the best checkpoint is chosen by.
SELECTION = "validation/recall@10"


class Targets(nn.Module):
    """Items as paths of the trie: their codes, and the node of each of their prefixes.

    Args:
        trie: The catalogue's trie.
    """

    codes: Tensor
    nodes: Tensor

    def __init__(self, trie: Trie) -> None:
        super().__init__()
        depths = range(trie.levels + 1)
        nodes = torch.stack([trie.item_nodes(depth) for depth in depths], dim=1)  # (I, L+1)
        self.register_buffer("nodes", nodes, persistent=False)
        self.register_buffer("codes", trie.prefixes(trie.levels)[nodes[:, -1]], persistent=False)


class SearchSelectedTask(LightningModule):
    """Training whose checkpoints are chosen by Recall@10 of a search over validation users.

    Args:
        learning_rate: Peak learning rate.
        weight_decay: Decay of matrices and tables.
        warmup_steps: Optimiser steps of linear warm-up.
        epochs: Passes over the training windows.
        patience: Epochs without a better validation score before training ends.
        average: Decay per step, in (0, 1), of the running mean of the weights that is validated and kept; null = the
            weights themselves.
        generator: The generator.
        reward: The reward model, or None.
        trie: The catalogue's trie.
        ranker: The search that validation uses.
        seed: Seeds dropout and negatives of each epoch, so that a resumed training is the same training.

    Raises:
        ValueError: If a dial is out of range.

    Attributes:
        stage: What its training is called; the first part of its artifact's name.
        with_reward: Whether a reward model is among the networks that it leaves.
    """

    stage = "training"
    with_reward = True

    def __init__(
        self,
        learning_rate: float,
        weight_decay: float,
        warmup_steps: int,
        epochs: int,
        patience: int,
        average: float | None,
        *,
        generator: nn.Module,
        reward: nn.Module | None,
        trie: Trie,
        ranker: Ranker,
        seed: int,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("epochs", epochs, 1),
            ("patience", patience, 1),
            ("warmup_steps", warmup_steps, 0),
        ):
            if not isinstance(value, int) or value < least:
                raise ValueError(f"training.{name} must be an integer >= {least}, got {value}")
        if not learning_rate > 0:
            raise ValueError(f"training.learning_rate must be > 0, got {learning_rate}")
        if average is not None and not 0 < average < 1:
            raise ValueError(f"training.average must be a number in (0, 1) or null, got {average}")
        if not weight_decay >= 0:
            raise ValueError(f"training.weight_decay must be >= 0, got {weight_decay}")
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_steps = warmup_steps
        self.epochs = epochs
        self.patience = patience
        self.average = average
        self.generator = generator
        self.reward = reward
        self.trie = trie
        self.items = Targets(trie)
        self.ranker = ranker
        self.seed = seed
        self.recall, self.ndcg = Recall(10), NDCG(10)

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        # Not at the epoch's start: the loader's iterator, which draws a number, is made before it in the first epoch
        # of a (resumed) training and after it in all others.
        if index == 0:
            torch.manual_seed(self.seed * 100_003 + self.current_epoch)

    def validation_step(self, batch: Batch, index: int) -> None:
        # Rewards of neighbouring candidates differ by less than bf16 can tell.
        with torch.autocast(self.device.type, enabled=False):
            ranks = target_ranks(self.ranker.rank(batch, 10).items, batch.targets[:, 0])
        self.recall.update(ranks)
        self.ndcg.update(ranks)
        self.log(SELECTION, self.recall, prog_bar=True, batch_size=len(ranks))
        self.log("validation/ndcg@10", self.ndcg, batch_size=len(ranks))

    def configure_optimizers(self) -> Any:
        optimizer, schedule = adamw(
            self.parameters(),
            self.learning_rate,
            self.weight_decay,
            self.warmup_steps,
            int(self.trainer.estimated_stepping_batches),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_callbacks(self) -> list[Callback]:
        """Keep the best and the last checkpoint; stop when validation no longer improves; average the weights."""
        folder = Path(self.trainer.default_root_dir) / "checkpoints"
        for depth in range(self.trie.levels + 1):
            self.trie.undecided(depth)  # weight averaging pairs buffers by their order: none may come later
        return [
            *([] if self.average is None else [WeightAveraging(use_buffers=False, avg_fn=partial(mean, self.average))]),
            ModelCheckpoint(folder, "best", monitor=SELECTION, mode="max", enable_version_counter=False),
            # Lightning's own `save_last` skips the epochs that are not the best so far.
            ModelCheckpoint(folder, "last", enable_version_counter=False),
            EarlyStopping(monitor=SELECTION, mode="max", patience=self.patience),
        ]


def mean(decay: float, averaged: Tensor, current: Tensor, steps: Tensor) -> Tensor:
    """The running mean of a weight after one more step; the first steps are forgotten sooner.

    Args:
        decay: Share of the mean that stays, in the long run.
        averaged: The mean so far.
        current: The weight now, of the same shape.
        steps: Number of steps in the mean so far, a scalar.
    """
    return averaged.lerp(current, 1 - min(decay, (1 + int(steps)) / (10 + int(steps))))


def following(batch: Batch) -> Tensor:
    """(B,) the item after each history, -1 where there is none: the target that sees all of it."""
    whole = batch.positions == batch.lengths[:, None] - 1  # (B, P)
    return batch.targets.masked_fill(~whole, -1).amax(1)


def real_targets(batch: Batch) -> Tensor:
    """(B, P), True where there is a target."""
    return batch.targets >= 0
