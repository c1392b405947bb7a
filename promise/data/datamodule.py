"""HistoryDataModule: the one LightningDataModule, its sampler of histories of like length, its resumable loader."""

import signal
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, DistributedSampler

from promise.data.batch import Batch
from promise.data.datasets import EvaluationDataset, HistoryRows, Prefixes, RowNumbers, Windows, draw_users
from promise.data.histories import Histories

_STEPS_SORTED_TOGETHER = 64


class LengthSampler(DistributedSampler[RowNumbers]):
    """Yields the row numbers of whole batches, histories of like length together, every row once per epoch.

    Shuffled: rows are drawn in random order, sorted by size within runs of 64 steps, and the steps shuffled
    again; an epoch's order depends on (seed, epoch) alone. Not shuffled: longest histories first, so that a
    lack of memory shows at once. Every process gets the same number of batches and no row comes twice; to
    that end batch sizes differ by one at most. An iteration leaves out its first `start` batches.

    It is a `DistributedSampler` because Lightning leaves those alone and replaces any other.

    Args:
        rows: what to draw from.
        batch_size: most rows in a batch of one process (or one more, where rows don't divide).
        shuffle: training order, or else by length.
        seed: of the order.
        rank: this process, 0..world_size-1.
        world_size: number of processes.

    Raises:
        ValueError: there are fewer rows than processes.
    """

    def __init__(
        self, rows: HistoryRows, batch_size: int, shuffle: bool, seed: int, rank: int, world_size: int
    ) -> None:
        super().__init__(rows, num_replicas=world_size, rank=rank, shuffle=shuffle, seed=seed)
        if len(rows) < world_size:
            raise ValueError(f"{world_size} processes need a row each, there are {len(rows)}")
        self.start = 0
        self._rows = rows
        self._steps = min(-(-len(rows) // (batch_size * world_size)), len(rows) // world_size)

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[RowNumbers]:
        count, steps, world = len(self._rows), self._steps, self.num_replicas
        edges = np.arange(steps * world + 1) * count // (steps * world)
        if not self.shuffle:
            order = np.argsort(-self._rows.sizes(np.arange(count)), kind="stable")
            turns = np.arange(steps)
        else:
            random = np.random.default_rng([self.seed, self.epoch])
            order = random.permutation(count)
            for step in range(0, steps, _STEPS_SORTED_TOGETHER):
                run = slice(edges[step * world], edges[min(step + _STEPS_SORTED_TOGETHER, steps) * world])
                order[run] = order[run][np.argsort(self._rows.sizes(order[run]), kind="stable")]
            turns = random.permutation(steps)
        for turn in turns[self.start :]:
            batch = turn * world + self.rank
            yield order[edges[batch] : edges[batch + 1]]


class TrainingLoader(DataLoader[Batch]):
    """Loader of training batches that goes on where the trainer is: in its epoch, after the steps done in it.

    It asks when the first batch is due, and workers begin no sooner: before that Lightning has not restored how far a
    resumed training is. The trainer knows all, so that the loader has no state to keep in checkpoints.

    Args:
        rows: What to draw from.
        sampler: Draws the row numbers of whole batches.
        progress: Tells the epoch that an iteration begins in, and the steps already done in it.
        settings: Further arguments of PyTorch's loader.
    """

    def __init__(
        self, rows: HistoryRows, sampler: LengthSampler, progress: Callable[[], tuple[int, int]], **settings: Any
    ) -> None:
        super().__init__(rows, sampler=sampler, **settings)
        self._order, self._progress = sampler, progress

    def __iter__(self) -> Any:
        self._order.epoch, self._order.start = self._progress()
        yield from super().__iter__()

    def state_dict(self) -> dict[str, int]:
        """Nothing; that there is such a method tells Lightning that the loader goes on within an epoch."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Does nothing."""


class HistoryDataModule(LightningDataModule):
    """Batches of histories for training, validation and test.

    Args:
        history: most items of a training row, H; evaluation rows hold whole histories.
        batch_size: rows per training batch, over all processes.
        evaluation_batch_size: users per validation or test batch and process.
        workers: processes that prepare batches; 0 = the main one.
        histories: all users.
        rows: "windows" trains every position of a row, "prefixes" only its last.
        split: target of the test.
        users: how many users to test, the same ones for every seed; None = all.
        validation_users: how many users to validate on, likewise; None = all.
        seed: of the training order.

    Raises:
        ValueError: a size is below 1, or a name is not one of the above.
    """

    def __init__(
        self,
        history: int,
        batch_size: int,
        evaluation_batch_size: int,
        workers: int,
        *,
        histories: Histories,
        rows: Literal["windows", "prefixes"],
        split: Literal["validation", "test"],
        users: int | None,
        validation_users: int | None,
        seed: int,
    ) -> None:
        super().__init__()
        sizes = {"history": history, "batch_size": batch_size, "evaluation_batch_size": evaluation_batch_size}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"datamodule.{name} must be >= 1, got {size}")
        if workers < 0:
            raise ValueError(f"datamodule.workers must be >= 0, got {workers}")
        if rows not in ("windows", "prefixes"):
            raise ValueError(f"rows must be windows or prefixes, got {rows}")
        if split not in ("validation", "test"):
            raise ValueError(f"split must be validation or test, got {split}")
        self._batch_size, self._evaluation_batch_size = batch_size, evaluation_batch_size
        self._workers, self._seed = workers, seed
        self._train = (Windows if rows == "windows" else Prefixes)(histories, history)
        chosen = draw_users(histories.evaluated("validation"), validation_users)
        self._validation = EvaluationDataset(histories, "validation", chosen)
        self._test = EvaluationDataset(histories, split, draw_users(histories.evaluated(split), users))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Training batches.

        Raises:
            ValueError: no user has the two training items that a history and a target take, or the processes can't
                share a batch evenly.
        """
        if not len(self._train):
            raise ValueError("there is nothing to train on: every user has only 3 interactions")
        rank, processes = self._processes()
        share = rows_per_process(self._batch_size, processes)
        sampler = LengthSampler(self._train, share, True, self._seed, rank, processes)
        return TrainingLoader(self._train, sampler, self._progress, **self._loading)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches of the validation users, longest histories first."""
        return self._evaluation_loader(self._validation)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of the test users, longest histories first."""
        return self._evaluation_loader(self._test)

    def _evaluation_loader(self, rows: EvaluationDataset) -> DataLoader[Batch]:
        sampler = LengthSampler(rows, self._evaluation_batch_size, False, self._seed, *self._processes())
        return DataLoader(rows, sampler=sampler, **self._loading)

    def _processes(self) -> tuple[int, int]:
        """This process, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _progress(self) -> tuple[int, int]:
        """The epoch that the trainer is in, and the steps done in it."""
        if self.trainer is None:
            return 0, 0
        loop: Any = self.trainer.fit_loop
        return loop.epoch_progress.current.processed, loop.epoch_loop.batch_progress.current.ready

    @property
    def _loading(self) -> dict[str, Any]:
        return {
            "batch_size": None,
            "num_workers": self._workers,
            "persistent_workers": self._workers > 0,
            "pin_memory": torch.cuda.is_available(),
            "worker_init_fn": ignore_signals,
        }


def rows_per_process(batch_size: int, processes: int) -> int:
    """Rows of a training batch that each process takes; ValueError where they can't share it evenly."""
    if batch_size % processes:
        wanted = f"a multiple of the {processes} processes that share it"
        raise ValueError(f"datamodule.batch_size must be {wanted}, got {batch_size}")
    return batch_size // processes


def ignore_signals(worker: int) -> None:
    """Leave it to the main process when a worker ends: a signal to all of them is the command's, not the worker's."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
