"""Checks of what quantizers are given: counts, sizes of levels and tables of vectors."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from promise.ids.semantic_ids import checked_codes

BALANCES = ("none", "last_level")


def check_count(option: str, value: int, least: int = 1) -> None:
    """Raises ValueError unless an option, such as `ids.levels`, is an integer >= `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{option} must be an integer >= {least}, got {value!r}")


def check_balance(value: str) -> None:
    """Raises ValueError unless it is one of `BALANCES`."""
    if value not in BALANCES:
        raise ValueError(f"ids.balance must be {' or '.join(BALANCES)}, got {value}")


def checked_sizes(levels: int, codes: int | Sequence[int]) -> tuple[int, ...]:
    """The number of codes of each level (L,), of one for all or one per level; ValueError unless all are >= 1."""
    check_count("ids.levels", levels)
    per_level = list(codes) if isinstance(codes, Sequence) else [codes] * levels
    if len(per_level) != levels:
        raise ValueError(f"ids.codes must be one number or {levels} (ids.levels), got {len(per_level)}")
    for size in per_level:
        check_count("ids.codes", size)
    return tuple(int(size) for size in per_level)


def checked_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embeddings (I, E) as float32; ValueError for no table, an empty one, or a row that holds NaN or infinity."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity and is refused below
        table = np.asarray(vectors, dtype=np.float32)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"embeddings must be a table (items, width) with no empty side, got {table.shape}")
    finite = np.isfinite(table).all(axis=1)
    if not finite.all():
        raise ValueError(f"embeddings must be finite, got NaN or infinity for item {int(np.argmin(finite))}")
    return table


def fitting(items: int) -> int:
    """Codes per level that suit so few items: a power of two near their square root."""
    return 2 ** max(0, (items.bit_length() - 1) // 2)


def require_room(items: int, level_sizes: Sequence[int]) -> None:
    """Raises ValueError where a level has more codes than there are items to learn them from."""
    if items < (most := max(level_sizes)):
        raise ValueError(f"ids.codes must be at most the number of items, {items}, got {most}: {fitting(items)} fits")


def check_encoding(
    codes: NDArray[np.int32], codebooks: Sequence[NDArray[np.float32]], level_sizes: Sequence[int], items: int, dim: int
) -> None:
    """Raises ValueError unless codes (I, L) and codebooks, L arrays (K_b, E), are what `Quantizer` says."""
    shapes = [np.shape(table) for table in codebooks]
    if len(shapes) != len(level_sizes) or any(len(shape) != 2 or shape[1] != dim for shape in shapes):
        wanted = f"{len(level_sizes)} tables (codes, {dim})"
        raise ValueError(f"the quantizer's codebooks must be {wanted}, got shapes {shapes}")
    if not all(np.isfinite(table).all() for table in codebooks):
        raise ValueError("the quantizer's codebooks must be finite, got NaN or infinity")
    for level, (shape, size) in enumerate(zip(shapes, level_sizes, strict=True), 1):
        if not 0 < shape[0] <= size:
            wanted = f"level {level} must have 1 .. {size} codes (level_sizes)"
            raise ValueError(f"the quantizer's codebook of {wanted}, got {shape[0]}")
    if not isinstance(codes, np.ndarray) or codes.shape != (items, len(shapes)):
        got = codes.shape if isinstance(codes, np.ndarray) else type(codes).__name__
        wanted = f"an array of shape {(items, len(shapes))} (items, levels)"
        raise ValueError(f"the quantizer's codes must be {wanted}, got {got}")
    checked_codes(codes, [shape[0] for shape in shapes])
