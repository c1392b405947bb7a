"""Rows: histories cut into training windows, training prefixes and evaluation rows, a batch at a time."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from promise.data.batch import Batch
from promise.data.histories import Histories, pad_rows

RowNumbers = NDArray[np.int64]


class Windows(Dataset[Batch]):
    """Window training: every item of a user's training part but the first is a target exactly once.

    A training part of at most H + 1 items is one row: its history is all but the last item, its targets all
    but the first. A longer one becomes several windows of H items that overlap by half; what an earlier one
    trained is no target of the later one, so that every target after the first window sees over H/2 items.

    Args:
        histories: all users.
        limit: longest history H, in items.
    """

    def __init__(self, histories: Histories, limit: int) -> None:
        self._histories = histories
        self._limit = limit
        self._stride = limit - limit // 2
        inputs = histories.training_counts() - 1
        more = -(-np.maximum(inputs - limit, 0) // self._stride)
        self._ends = np.cumsum(np.where(inputs > 0, 1 + more, 0))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def sizes(self, rows: RowNumbers) -> RowNumbers:
        """What rows are sorted by: their lengths, then their targets, so that neither is padded much."""
        _, _, lengths, trained = self._cut(rows)
        return lengths * (self._limit + 1) + lengths - trained

    def __getitem__(self, rows: RowNumbers) -> Batch:
        users, begin, lengths, trained = self._cut(rows)
        starts = self._histories.offsets[users] + begin
        history = pad_rows(self._histories.items, starts, lengths)  # (B, H)
        fresh = lengths - trained
        targets = pad_rows(self._histories.items, starts + trained + 1, fresh)  # (B, P)
        steps = np.arange(targets.shape[1])
        positions = np.minimum(trained[:, None] + steps, lengths[:, None] - 1)
        return _batch(users, history, lengths, positions, np.where(steps < fresh[:, None], targets, -1))

    def _cut(self, rows: RowNumbers) -> tuple[RowNumbers, RowNumbers, RowNumbers, RowNumbers]:
        """Rows (B,) -> their users, where in the user they begin, their lengths, items trained before."""
        users = np.searchsorted(self._ends, rows, side="right")
        first = np.where(users > 0, self._ends[users - 1], 0)
        window = rows - first
        inputs = self._histories.training_counts(users) - 1
        # The last window moves back until it is full: more context for the newest targets.
        begin = np.minimum(window * self._stride, np.maximum(inputs - self._limit, 0))
        trained = np.where(window > 0, (window - 1) * self._stride + self._limit - begin, 0)
        return users, begin, np.minimum(inputs, self._limit), trained


class Prefixes(Dataset[Batch]):
    """Prefix training: a row for every item of a user's training part but the first, and the H items before.

    Args:
        histories: all users.
        limit: longest history H, in items.
    """

    def __init__(self, histories: Histories, limit: int) -> None:
        self._histories = histories
        self._limit = limit
        self._ends = np.cumsum(histories.training_counts() - 1)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def sizes(self, rows: RowNumbers) -> RowNumbers:
        return np.minimum(self._before(rows)[1], self._limit)

    def __getitem__(self, rows: RowNumbers) -> Batch:
        users, before = self._before(rows)
        targets = self._histories.offsets[users] + before
        lengths = np.minimum(before, self._limit)
        history = pad_rows(self._histories.items, targets - lengths, lengths)
        return _batch(users, history, lengths, lengths[:, None] - 1, self._histories.items[targets][:, None])

    def _before(self, rows: RowNumbers) -> tuple[RowNumbers, RowNumbers]:
        """Rows (B,) -> their users, and how many items the user has before the row's target."""
        users = np.searchsorted(self._ends, rows, side="right")
        return users, rows - np.where(users > 0, self._ends[users - 1], 0) + 1


class EvaluationDataset(Dataset[Batch]):
    """One row per user: everything before the target of a split.

    Histories are whole: counts and the removal of past items need all of them, and a network takes its newest items.

    Args:
        histories: all users.
        split: whose target.
        users: (N,) users to evaluate.
    """

    def __init__(self, histories: Histories, split: Literal["validation", "test"], users: RowNumbers) -> None:
        self._histories = histories
        self._split = split
        self._users = users

    def __len__(self) -> int:
        return len(self._users)

    def sizes(self, rows: RowNumbers) -> RowNumbers:
        return self._histories.lengths(self._split, self._users[rows])

    def __getitem__(self, rows: RowNumbers) -> Batch:
        users = self._users[rows]
        history, lengths = self._histories.history(self._split, users)
        targets = self._histories.targets(self._split, users)
        return _batch(users, history, lengths, lengths[:, None] - 1, targets[:, None])


HistoryRows = Windows | Prefixes | EvaluationDataset


def draw_users(users: RowNumbers, size: int | None) -> RowNumbers:
    """A random subset of users (n,), in their order; a smaller one is part of a larger one, None = all.

    The draw is the same whatever the seed of a run: runs of several seeds are compared user by user. ValueError if
    `size` is below 1.
    """
    if size is None:
        return users
    if size < 1:
        raise ValueError(f"evaluation.users and checkpoint_selection.users must be >= 1 or null, got {size}")
    return users[np.sort(np.random.default_rng(0).permutation(len(users))[:size])]


def _batch(*fields: NDArray[np.int64]) -> Batch:
    """Batch fields as arrays -> tensors, int64."""
    return Batch(*(torch.from_numpy(np.array(field, dtype=np.int64)) for field in fields))
