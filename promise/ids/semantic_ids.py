"""SemanticIds: the checked table from items to code paths, its fingerprint and its file."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def checked_codes(codes: ArrayLike, level_sizes: Sequence[int]) -> NDArray[np.int32]:
    """Returns the codes as int32 once their shape and range are known to be right.

    Args:
        codes: (I, L) integers; row i is the path of item i, coarse to fine.
        level_sizes: (L,) number of codes of each level; level b holds codes 0 .. level_sizes[b] - 1.

    Returns:
        (I, L) int32, the same memory where the input was int32 already.

    Raises:
        ValueError: the table is not 2-D, is empty, holds no integers, or a code lies outside its level.
    """
    table = np.asarray(codes)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"codes must be a table (items, levels) with no empty side, got shape {table.shape}")
    if not np.issubdtype(table.dtype, np.integer):
        raise ValueError(f"codes must be integers, got {table.dtype}")
    if len(level_sizes) != table.shape[1]:
        raise ValueError(f"level_sizes must name one size per level: {table.shape[1]} levels, {len(level_sizes)} sizes")
    if max(*level_sizes, len(table)) > np.iinfo(np.int32).max:
        raise ValueError(f"items and level sizes must be < 2**31, got {len(table)} and {max(level_sizes)}")
    low, high = table.min(axis=0), table.max(axis=0)
    for level, size in enumerate(level_sizes):
        if low[level] < 0 or high[level] >= size:
            column = table[:, level]
            item = int(np.argmax((column < 0) | (column >= size)))
            raise ValueError(
                f"codes of level {level + 1} must lie in 0 .. {size - 1}, got {column[item]} for item {item}"
            )
    return table.astype(np.int32, copy=False)


def path_order(codes: NDArray[np.int32]) -> NDArray[np.int64]:
    """The items (I,) by their paths (I, L), codes >= 0, lexicographically; items with one path stay in item order."""
    # numpy sorts 8- and 16-bit keys by counting: many times faster than comparing 32-bit ones.
    return np.lexsort([column.astype(np.min_scalar_type(column.max())) for column in codes.T[::-1]])


def prefix_numbers(codes: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Numbers equal prefixes alike: (n, L) codes >= 0 -> for every depth 0 .. L (n,), in lexicographic order from 0."""
    found = [np.zeros(len(codes), dtype=np.int64)]
    for column in codes.T:  # dense again after every level, so that nothing overflows however many there are
        found.append(np.unique(found[-1] * (int(column.max()) + 1) + column, return_inverse=True)[1])
    return found


def row_keys(rows: NDArray[np.float32]) -> NDArray[np.void]:
    """One sortable key per row of (n, E) floats; equal rows, and no others, have equal keys."""
    positive = np.ascontiguousarray(rows + np.float32(0))  # -0.0 becomes 0.0, which has other bytes
    return positive.view(np.dtype((np.void, positive.dtype.itemsize * positive.shape[1]))).ravel()


def check_unique(order: NDArray[np.int64], new: NDArray[np.bool_]) -> None:
    """Raises ValueError if two items share a path: items in the order of paths (I,), and where one is new (I,)."""
    if not new.all():
        second = int(np.argmin(new))
        raise ValueError(f"items {order[second - 1]} and {order[second]} share one semantic ID")


def with_ranks(
    codes: NDArray[np.int32], level_sizes: tuple[int, ...], ranks: ArrayLike | None
) -> tuple[NDArray[np.int32], tuple[int, ...]]:
    """Codes (I, L) and their sizes with ranks (I,) as one more level; ValueError unless these are integers >= 0."""
    if ranks is None:
        return codes, level_sizes
    column = np.asarray(ranks)
    if column.shape != codes.shape[:1] or column.dtype.kind not in "iu":
        raise ValueError(f"ranks must be {len(codes)} integers, got {column.dtype} of shape {column.shape}")
    if (least := int(column.min())) < 0:
        raise ValueError(f"ranks must be >= 0, got {least}")
    return np.column_stack([codes, column.astype(np.int32)]), (*level_sizes, int(column.max()) + 1)


@dataclass(frozen=True, eq=False)
class SemanticIds:
    """The semantic ID of every item: one path of codes each, no two items alike unless there are ranks.

    Attributes:
        codes: (I, L) int32; row i is the path of item i, coarse to fine.
        level_sizes: (L,) number of codes of each level.
        quality: the report of `promise.ids.quality.quality_report`; JSON-able, may be empty.
        ranks: (I,) int32 >= 0, by which the items of one path stand in order; None = each path has one item.

    Raises:
        ValueError: codes or ranks of the wrong shape or range, or two items with one path and rank.
    """

    codes: NDArray[np.int32]
    level_sizes: tuple[int, ...]
    quality: dict[str, Any]
    ranks: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        sizes = tuple(int(size) for size in self.level_sizes)
        object.__setattr__(self, "level_sizes", sizes)
        object.__setattr__(self, "codes", checked_codes(self.codes, sizes))
        table, _ = with_ranks(self.codes, sizes, self.ranks)
        order = path_order(table)
        check_unique(order, np.append(True, (np.diff(table[order], axis=0) != 0).any(axis=1)))

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change whenever a path, the order of the items, a rank or a level's size does."""
        digest = hashlib.sha256(repr((self.codes.shape, self.level_sizes)).encode())
        digest.update(np.ascontiguousarray(self.codes, dtype="<i4").data)
        if self.ranks is not None:
            digest.update(np.ascontiguousarray(self.ranks, dtype="<i4").data)
        return digest.hexdigest()[:16]

    def save(self, path: str | Path) -> None:
        """Writes everything into one compressed .npz file at exactly this path."""
        ranks: dict[str, Any] = {} if self.ranks is None else {"ranks": self.ranks}
        with open(path, "wb") as file:
            np.savez_compressed(
                file,
                codes=self.codes,
                level_sizes=np.asarray(self.level_sizes, dtype=np.int64),
                quality=np.asarray(json.dumps(self.quality)),
                **ranks,
            )

    @classmethod
    def load(cls, path: str | Path) -> "SemanticIds":
        """Reads a file written by `save`.

        Raises:
            ValueError: the file is missing, is something else, or holds codes that are no semantic IDs.
        """
        if not Path(path).is_file():
            raise ValueError(f"ids.path must be a file of semantic IDs, found none at {path}")
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                level_sizes = tuple(int(size) for size in arrays["level_sizes"])
                return cls(arrays["codes"], level_sizes, json.loads(str(arrays["quality"])), arrays.get("ranks"))
        except Exception as error:  # damage shows in zip, zlib, numpy or json, each in its own way
            why = "" if "pickle" in str(error) else f" ({error})"  # numpy's word for what is no file of arrays
            raise ValueError(f"ids.path: {path} holds no semantic IDs{why}") from error
