"""Histories: all users' items in time order, as flat memory-mapped arrays, and their split."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["validation", "test"]

_TARGETS = {"validation": 1, "test": 2}  # their columns of `parts`


def pad_rows(items: NDArray[Any], starts: NDArray[Any], lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Slices of items (F,), from starts (B,) on and of lengths (B,) >= 0, as the rows of a matrix.

    (B, H), H the longest slice (at least 1), padded on the right with 0.
    """
    width = max(int(lengths.max(initial=0)), 1)
    steps = np.arange(width)
    real = steps < lengths[:, None]
    return np.where(real, items[np.where(real, starts[:, None] + steps, 0)], 0).astype(np.int64, copy=False)


@dataclass(frozen=True, eq=False)
class Histories:
    """Items of all users, one user after the other, each in time order.

    Without `parts` a user's last item is the test target, the last but one the validation target, the rest is
    training; so every user has at least 3 items. Item indices are 0..item_count-1; not every item need occur.

    Attributes:
        items: (F,) int32 item indices.
        offsets: (users + 1,) int64; user u owns items[offsets[u]:offsets[u + 1]].
        item_count: items in the catalogue, I.
        folder: where the arrays lie on disk; None for arrays in memory.
        parts: (users, 3) int64 positions in `items` of any other split: the end of the user's training part, which
            holds at least one item, the validation target and the test target; -1 = the user has no such target.
    """

    items: NDArray[np.int32]
    offsets: NDArray[np.int64]
    item_count: int
    folder: Path | None = None
    parts: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled memory map would copy the whole file into every worker process.
        if self.folder is not None:
            return Histories.open, (self.folder,)
        return Histories, (self.items, self.offsets, self.item_count, None, self.parts)

    def save(self, folder: str | Path) -> None:
        """Writes `items.npy`, `offsets.npy`, `histories.json` and any `parts.npy` into a folder, made if need be."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "items.npy", np.asarray(self.items, dtype=np.int32))
        np.save(folder / "offsets.npy", np.asarray(self.offsets, dtype=np.int64))
        if self.parts is not None:
            np.save(folder / "parts.npy", np.asarray(self.parts, dtype=np.int64))
        (folder / "histories.json").write_text(json.dumps({"item_count": self.item_count}))

    @classmethod
    def open(cls, folder: str | Path) -> "Histories":
        """Opens what `save` wrote, memory-mapped and read-only.

        Raises:
            ValueError: a file is missing or is not what `save` writes.
        """
        folder = Path(folder).resolve()
        try:
            items = np.load(folder / "items.npy", mmap_mode="r")
            offsets = np.load(folder / "offsets.npy", mmap_mode="r")
            parts = np.load(folder / "parts.npy", mmap_mode="r") if (folder / "parts.npy").exists() else None
            item_count = int(json.loads((folder / "histories.json").read_text())["item_count"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"cannot open the histories in {folder}: {error}") from error
        return cls(items, offsets, item_count, folder, parts)

    def history(
        self, split: Split, users: NDArray[Any], limit: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The items before the target of a split.

        Args:
            split: whose target.
            users: (B,) user indices.
            limit: longest history H, the newest items are kept; None = everything before the target.

        Returns:
            Items (B, H), padded on the right with 0, H being the longest history of these users (at least 1);
            lengths (B,), >= 1.

        Raises:
            ValueError: a user has no such target.
        """
        targets = self._target_positions(split, users)
        lengths = targets - self.offsets[users]
        if limit is not None:
            lengths = np.minimum(lengths, limit)
        return pad_rows(self.items, targets - lengths, lengths), lengths

    def targets(self, split: Split, users: NDArray[Any]) -> NDArray[np.int64]:
        """The item to predict for each of `users` (B,) -> (B,)."""
        return self.items[self._target_positions(split, users)].astype(np.int64)

    def lengths(self, split: Split, users: NDArray[Any]) -> NDArray[np.int64]:
        """How many items stand before the target of each of `users` (B,) -> (B,)."""
        return self._target_positions(split, users) - np.asarray(self.offsets[users])

    def evaluated(self, split: Split) -> NDArray[np.int64]:
        """The users (n,) that have a target of a split, ascending."""
        if self.parts is None:
            return np.arange(len(self))
        return np.flatnonzero(self.parts[:, _TARGETS[split]] >= 0)

    def training_counts(self, users: NDArray[Any] | None = None) -> NDArray[np.int64]:
        """How many items the training part of each of `users` (B,) has -> (B,); None = of all users."""
        users = np.arange(len(self)) if users is None else np.asarray(users)
        return self._training_ends(users) - np.asarray(self.offsets[users])

    def training_items(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Flat items and offsets of the training part alone."""
        counts, sizes = self.training_counts(), np.diff(self.offsets)
        keep = np.repeat(np.tile([True, False], len(self)), np.stack([counts, sizes - counts], axis=1).ravel())
        return np.asarray(self.items)[keep], np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])

    def parts_of(self, user: int) -> list[str]:
        """What each item of a user is, oldest first: training, validation, test, or none of these."""
        one, first = np.array([user]), int(self.offsets[user])
        names = np.full(int(self.offsets[user + 1]) - first, "none", dtype="<U10")
        names[: self.training_counts(one)[0]] = "training"
        for split in _TARGETS:
            if (place := self._places(split, one)[0]) >= 0:
                names[place - first] = split
        return names.tolist()

    def _training_ends(self, users: NDArray[Any]) -> NDArray[np.int64]:
        """Where in the flat array the training parts of users (B,) end."""
        return np.asarray(self.offsets[users + 1]) - 2 if self.parts is None else np.asarray(self.parts[users, 0])

    def counts(self, users: NDArray[Any]) -> NDArray[np.int64]:
        """All items of each of `users` (B,) -> (B,), the targets included."""
        users = np.asarray(users)
        return np.asarray(self.offsets[users + 1] - self.offsets[users])

    def _target_positions(self, split: Split, users: NDArray[Any]) -> NDArray[np.int64]:
        """Where in the flat array the targets (B,) of a split stand."""
        users = np.asarray(users)
        places = self._places(split, users)
        if (places < 0).any():
            raise ValueError(f"user {users[places < 0][0]} has no {split} target")
        return places

    def _places(self, split: str, users: NDArray[Any]) -> NDArray[np.int64]:
        """The same, -1 for users without a target."""
        if self.parts is None:
            return self._training_ends(users) + _TARGETS[split] - 1
        return np.asarray(self.parts[users, _TARGETS[split]])
