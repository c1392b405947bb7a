"""make_unique: one path per item, by an extra level that tells apart the items of one path."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from promise.ids.semantic_ids import new_paths, path_order, row_keys

Codebooks = Sequence[NDArray[np.float32]]


def make_unique(
    codes: NDArray[np.int32], codebooks: Codebooks, vectors: NDArray[np.float32], limit: int
) -> tuple[NDArray[np.int32], tuple[int, ...], int]:
    """Appends a level that numbers the items of each path, unless no two items share one.

    A path holds at most `limit` items. The items of a fuller one that lie furthest from it move, items with
    equal vectors together, to the nearest paths with room: paths in use first, and where those are full,
    paths that no item has, nearest to the items that need room. Only a catalogue larger than all paths times
    `limit` gets a larger last level, with a warning.

    Args:
        codes: (I, L) of a quantizer; items may share a path.
        codebooks: L arrays (K_b, E), its codewords.
        vectors: (I, E), the embeddings that it encoded.
        limit: most items on one path, >= 1; as a rule the number of codes of a level.

    Returns:
        codes (I, L + 1), or (I, L) where nothing collides; items of one path are numbered in item order.
        level sizes, the last one as large as the fullest path.
        moved, the number of items that left their own path.

    Raises:
        ValueError: limit < 1, or as many vectors as items are not there.
    """
    if limit < 1:
        raise ValueError(f"limit must be >= 1, got {limit}")
    if len(vectors) != len(codes):
        raise ValueError(f"vectors must have {len(codes)} rows, got {len(vectors)}")
    level_sizes = tuple(len(codebook) for codebook in codebooks)
    paths, path_of = _distinct_paths(codes)
    needed = -(-len(vectors) // math.prod(level_sizes))
    if needed > limit:
        warnings.warn(f"{len(vectors)} items on {level_sizes} codes need {needed} on a path, not {limit}", stacklevel=2)
        limit = needed
    moved = _overflow(codebooks, vectors, paths, path_of, limit)
    if len(moved):
        paths, path_of = _move(codebooks, vectors, paths, path_of, moved, limit)
    unique = paths[path_of]
    slots = _rank_within(path_of, np.arange(len(unique)))
    if not slots.any():
        return unique, level_sizes, len(moved)
    unique = np.concatenate([unique, slots[:, None].astype(np.int32)], axis=1)
    return unique, (*level_sizes, int(slots.max()) + 1), len(moved)


def _distinct_paths(codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The distinct rows (P, L), sorted, and the row of each item (I,)."""
    order = path_order(codes)
    new = new_paths(codes[order])
    path_of = np.empty(len(codes), dtype=np.int64)
    path_of[order] = np.cumsum(new) - 1
    return codes[order[new]], path_of


def _rank_within(groups: NDArray[np.int64], keys: NDArray) -> NDArray[np.int64]:
    """Each member's place (0-based) in its group by ascending key; ties in the order given."""
    order = np.lexsort((keys, groups))
    sizes = np.bincount(groups)
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return ranks


def _reconstruct(codebooks: Codebooks, paths: NDArray[np.int32]) -> NDArray[np.float32]:
    """(P, L) codes -> (P, E), the sum of their codewords."""
    points = np.zeros((len(paths), codebooks[0].shape[1]), dtype=np.float32)
    for column, codebook in zip(paths.T, codebooks, strict=True):
        points += codebook[column]
    return points


def _overflow(
    codebooks: Codebooks,
    vectors: NDArray[np.float32],
    paths: NDArray[np.int32],
    path_of: NDArray[np.int64],
    limit: int,
) -> NDArray[np.int64]:
    """The items (moved,), ascending, that lie furthest from a path with more than `limit` items."""
    crowded = np.flatnonzero(np.bincount(path_of)[path_of] > limit)
    misfit = vectors[crowded] - _reconstruct(codebooks, paths[path_of[crowded]])
    places = _rank_within(path_of[crowded], np.square(misfit, dtype=np.float64).sum(axis=1))
    return crowded[places >= limit]


def _move(
    codebooks: Codebooks,
    vectors: NDArray[np.float32],
    paths: NDArray[np.int32],
    path_of: NDArray[np.int64],
    moved: NDArray[np.int64],
    limit: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Gives each moved item a path with room: paths (P', L), the old ones first, and items' paths (I,)."""
    room = np.maximum(limit - np.bincount(path_of), 0)
    shortage = len(moved) - int(room.sum())
    if shortage > 0:
        opened = _unused_paths(codebooks, paths, vectors[moved].mean(axis=0, dtype=np.float64), -(-shortage // limit))
        paths = np.concatenate([paths, opened])
        room = np.append(room, np.full(len(opened), limit))
    path_of = path_of.copy()
    points = _reconstruct(codebooks, paths).astype(np.float64)  # float32 squares may overflow
    squares = np.square(points).sum(axis=1)
    _, first, kind = np.unique(row_keys(vectors[moved]), return_index=True, return_inverse=True)
    members = np.split(moved[np.argsort(kind, kind="stable")], np.cumsum(np.bincount(kind))[:-1])
    for group in np.argsort(first):  # kinds of equal vectors, in the order of their first items
        items = members[group]
        distances = squares - 2 * (points @ vectors[items[0]].astype(np.float64))
        nearest = _smallest(np.where(room > 0, distances, np.inf), len(items))
        taken = np.repeat(nearest, room[nearest])[: len(items)]
        path_of[items] = taken
        room -= np.bincount(taken, minlength=len(room))
    return paths, path_of


def _smallest(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Indices of the `count` smallest values (all, if there are fewer), ascending by value, ties by index."""
    if count < len(values):
        bound = np.partition(values, count - 1)[count - 1]
        kept = np.flatnonzero(values <= bound)
        return kept[np.argsort(values[kept], kind="stable")][:count]
    return np.argsort(values, kind="stable")


def _unused_paths(
    codebooks: Codebooks, used: NDArray[np.int32], point: NDArray[np.float64], count: int
) -> NDArray[np.int32]:
    """The `count` paths (count, L) nearest to a point (E,) among those not in `used` (P, L)."""
    beams = np.zeros((1, 0), dtype=np.int32)
    gaps = point[None]  # (beams, E), what the codes chosen so far leave over
    for table in codebooks:
        centroids = table.astype(np.float64)
        distances = np.square(gaps).sum(axis=1)[:, None] - 2 * (gaps @ centroids.T)
        distances += np.square(centroids).sum(axis=1)
        # Whatever P paths are used, P + count kept ones hold `count` that are not.
        parents, codes = np.divmod(_smallest(distances.ravel(), len(used) + count), len(centroids))
        beams = np.concatenate([beams[parents], codes[:, None].astype(np.int32)], axis=1)
        gaps = gaps[parents] - centroids[codes]
    both = np.concatenate([used, beams])
    order = path_order(both)
    first = np.empty(len(both), dtype=bool)
    first[order] = new_paths(both[order])  # of equal paths the used one comes first
    return beams[first[len(used) :]][:count]
