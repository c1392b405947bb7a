"""What becomes of items that share a path: an extra level tells them apart, they move, or they share it in order."""

import math
import warnings

import numpy as np
from numpy.typing import NDArray

from promise.ids.quantizers.paths import Codebooks, nearest_paths, reconstruct, spread
from promise.ids.semantic_ids import prefix_numbers, row_keys

POLICIES = ("extra_level", "nearest_free", "shared")
FREE_WIDTH = 64  # nearest paths among which an item looks for a free one; four times as many where all are taken
FREE_ELEMENTS = 2**22  # paths that are looked through at once


def resolved(
    policy: str, codes: NDArray[np.int32], codebooks: Codebooks, vectors: NDArray[np.float32], limit: int
) -> tuple[NDArray[np.int32], tuple[int, ...], int]:
    """Paths by a policy: "extra_level", see `make_unique`, "nearest_free", see there, or "shared", as they are."""
    if policy == "extra_level":
        return make_unique(codes, codebooks, vectors, limit)
    if policy == "shared":
        return codes, tuple(len(codebook) for codebook in codebooks), 0
    return nearest_free(codes, codebooks, vectors)


def popularity_ranks(counts: NDArray[np.integer]) -> NDArray[np.int32]:
    """Places of items among all by their counts (I,), from 0 for the highest; of equal ones the lower number first."""
    return np.argsort(np.argsort(-counts, kind="stable")).astype(np.int32)


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
    """
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


def nearest_free(
    codes: NDArray[np.int32], codebooks: Codebooks, vectors: NDArray[np.float32]
) -> tuple[NDArray[np.int32], tuple[int, ...], int]:
    """Moves items that share a path to the nearest paths that no item has; no level is added.

    First the items of each parent get distinct last codes, see `promise.ids.quantizers.paths.spread`. Where a parent
    has more items than there are codes, the nearest item of a path stays and the others take the nearest free path of
    all, in item order, items with equal vectors together.

    Arguments are those of `make_unique`.

    Returns:
        codes (I, L), no two rows alike; the sizes of the levels; moved, the number of items that left their path.

    Raises:
        ValueError: there are fewer paths than items.
    """
    level_sizes = tuple(len(codebook) for codebook in codebooks)
    if math.prod(level_sizes) < len(codes):
        raise ValueError(
            f"ids.collisions=nearest_free needs a path for every item, {len(codes)}, got {math.prod(level_sizes)} "
            f"from {level_sizes} codes: raise ids.codes or ids.levels, or use ids.collisions=extra_level"
        )
    found = spread(vectors, codes, codebooks)
    left = _overflow(codebooks, vectors, *_distinct_paths(found), 1)
    if len(left):
        found[left] = free_paths(vectors[left], codebooks, {row.tobytes() for row in found})
    return found, level_sizes, int((found != codes).any(axis=1).sum())


def free_paths(vectors: NDArray[np.float32], codebooks: Codebooks, used: set[bytes]) -> NDArray[np.int32]:
    """Nearest paths that no item has yet (n, L), for vectors (n, E) in their order, those of equal vectors together.

    `used` are the bytes of the paths that are taken, int32; the new ones are added.
    """
    found = np.empty((len(vectors), len(codebooks)), np.int32)
    groups, width = _kinds(vectors), FREE_WIDTH
    while groups:
        again = []
        rows = max(1, FREE_ELEMENTS // width)
        for block in (groups[start : start + rows] for start in range(0, len(groups), rows)):
            paths, _ = nearest_paths(vectors[[group[0] for group in block]], codebooks, width)
            for items, candidates in zip(block, paths, strict=True):
                free = [path for path in candidates if path.tobytes() not in used][: len(items)]
                if len(free) < len(items):
                    again.append(items)
                    continue
                found[items] = free
                used.update(path.tobytes() for path in free)
        groups, width = again, 4 * width
    return found


def _kinds(vectors: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """The rows (n,) of each kind of equal vectors (n, E), in the order of their first rows."""
    if not len(vectors):
        return []
    _, first, kind = np.unique(row_keys(vectors), return_index=True, return_inverse=True)
    members = np.split(np.argsort(kind, kind="stable"), np.cumsum(np.bincount(kind))[:-1])
    return [members[group] for group in np.argsort(first)]


def _distinct_paths(codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The distinct rows (P, L), sorted, and the row of each item (I,)."""
    path_of = prefix_numbers(codes)[-1]
    return codes[np.unique(path_of, return_index=True)[1]], path_of


def _rank_within(groups: NDArray[np.int64], keys: NDArray) -> NDArray[np.int64]:
    """Each member's place (0-based) in its group by ascending key; ties in the order given."""
    order = np.lexsort((keys, groups))
    sizes = np.bincount(groups)
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return ranks


def _overflow(
    codebooks: Codebooks, vectors: NDArray[np.float32], paths: NDArray[np.int32], path_of: NDArray[np.int64], limit: int
) -> NDArray[np.int64]:
    """The items (moved,), ascending, that lie furthest from a path with more than `limit` items."""
    crowded = np.flatnonzero(np.bincount(path_of)[path_of] > limit)
    misfit = vectors[crowded] - reconstruct(paths[path_of[crowded]], codebooks)
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
    points = reconstruct(paths, codebooks).astype(np.float64)  # float32 squares may overflow
    squares = np.square(points).sum(axis=1)
    for group in _kinds(vectors[moved]):
        items = moved[group]
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
    first = np.sort(np.unique(prefix_numbers(both)[-1], return_index=True)[1])  # of equal paths the used one
    return both[first[first >= len(used)]][:count]
