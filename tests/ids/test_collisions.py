"""The policies of collisions against the same rules in plain Python."""

import itertools
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest

from promise.ids.collisions import make_unique, nearest_free, popularity_ranks
from promise.ids.semantic_ids import SemanticIds


class Quantised(NamedTuple):
    """Codes (I, L) and codebooks as a quantizer gives them."""

    codes: np.ndarray
    level_sizes: tuple[int, ...]
    codebooks: list[np.ndarray]


def unique(found: Quantised, vectors: np.ndarray, limit: int) -> tuple[np.ndarray, tuple[int, ...], int]:
    return make_unique(found.codes, found.codebooks, vectors, limit)


def random_world(seed: int) -> tuple[Quantised, np.ndarray, int]:
    """Crowded paths, repeated embeddings, a limit that some paths break."""
    rng = np.random.default_rng(seed)
    sizes = tuple(int(size) for size in rng.integers(1, 5, size=rng.integers(1, 4)))
    items, width = int(rng.choice([1, 2, 7, 40])), int(rng.integers(1, 4))
    codes = np.stack([rng.integers(1 + rng.integers(size), size=items) for size in sizes], axis=1)
    centroids = [rng.normal(size=(size, width)).astype(np.float32) for size in sizes]
    embeddings = rng.normal(size=(items, width)).astype(np.float32)
    embeddings = embeddings[rng.integers(1 + items // 2, size=items)]
    fitting = -(-items // int(np.prod(sizes)))
    return Quantised(codes.astype(np.int32), sizes, centroids), embeddings, fitting + int(rng.integers(4))


def place(quantised: Quantised, path: tuple[int, ...]) -> np.ndarray:
    return sum(table[code].astype(np.float64) for table, code in zip(quantised.codebooks, path, strict=True))


def slow_paths(quantised: Quantised, embeddings: np.ndarray, limit: int) -> tuple[list[tuple[int, ...]], int]:
    """The path of each item while paths in use have room enough; the number of items moved."""
    paths = [tuple(row) for row in quantised.codes.tolist()]

    def gap(item: int, path: tuple[int, ...]) -> float:
        return float(((embeddings[item] - place(quantised, path)) ** 2).sum())

    members: dict[tuple[int, ...], list[int]] = {}
    for item, path in enumerate(paths):
        members.setdefault(path, []).append(item)
    moved = []
    for path, items in members.items():
        moved += sorted(items, key=lambda item: (round(gap(item, path), 6), item))[limit:]
    counts = Counter(paths)
    room = {path: max(0, limit - counts[path]) for path in sorted(counts)}
    kinds: dict[tuple[float, ...], list[int]] = {}
    for item in sorted(moved):
        kinds.setdefault(tuple(embeddings[item].tolist()), []).append(item)
    for items in kinds.values():
        for item in items:
            free = [path for path in room if room[path] > 0]
            paths[item] = min(free, key=lambda path: gap(item, path))
            room[paths[item]] -= 1
    return paths, len(moved)


def test_equals_the_slow_rules_while_paths_in_use_have_room() -> None:
    compared = 0
    for seed in range(600):
        quantised, embeddings, limit = random_world(seed)
        if len({tuple(row) for row in quantised.codes.tolist()}) * limit < len(embeddings):
            continue
        codes, sizes, moved = unique(quantised, embeddings, limit)
        paths, expected_moved = slow_paths(quantised, embeddings, limit)
        levels = len(quantised.level_sizes)
        assert moved == expected_moved
        assert [tuple(row) for row in codes[:, :levels].tolist()] == paths
        largest = max(Counter(paths).values())
        assert sizes == (quantised.level_sizes if largest == 1 else (*quantised.level_sizes, largest))
        if largest > 1:
            seen: Counter = Counter()
            for item, path in enumerate(paths):
                assert codes[item, levels] == seen[path]
                seen[path] += 1
        compared += moved > 0
    assert compared > 30


def test_every_item_gets_a_path_of_its_own() -> None:
    opened = 0
    for seed in range(300):
        quantised, embeddings, limit = random_world(seed)
        codes, sizes, moved = unique(quantised, embeddings, limit)
        SemanticIds(codes, sizes, {})  # checks ranges and uniqueness
        before = Counter(tuple(row) for row in quantised.codes.tolist())
        assert moved == sum(max(0, count - limit) for count in before.values())
        levels = len(quantised.level_sizes)
        stayed = (codes[:, :levels] == quantised.codes).all(axis=1).sum()
        assert stayed >= len(codes) - moved
        after = Counter(tuple(row) for row in codes[:, :levels].tolist())
        assert max(after.values()) <= limit
        opened += len(after) > len(before)
    assert opened > 30


def test_full_paths_open_the_nearest_unused_ones() -> None:
    """Sums of {0, 8} and {0, 1, 5}: the items at 0 need room beside (0, 0), and (0, 1) is the nearest."""
    centroids = [np.array([[0.0], [8.0]], dtype=np.float32), np.array([[0.0], [1.0], [5.0]], dtype=np.float32)]
    quantised = Quantised(np.zeros((5, 2), dtype=np.int32), (2, 3), centroids)
    codes, sizes, moved = unique(quantised, np.zeros((5, 1), dtype=np.float32), 2)
    assert codes.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [0, 2, 0]]
    assert sizes == (2, 3, 2) and moved == 3


def test_unused_paths_are_the_nearest_of_all_in_one_level_and_enough_in_any() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        centroids = [rng.normal(size=(9, 2)).astype(np.float32)]
        used = int(rng.integers(1, 5))
        crowd = int(rng.integers(1, 5))
        codes = np.concatenate([np.arange(used), np.zeros(crowd, dtype=int)])[:, None].astype(np.int32)
        embeddings = np.zeros((len(codes), 2), dtype=np.float32)
        found, _, moved = unique(Quantised(codes, (9,), centroids), embeddings, 1)
        free = sorted(range(used, 9), key=lambda code: float((centroids[0][code].astype(float) ** 2).sum()))
        assert moved == crowd and sorted(found[:, 0].tolist()) == sorted([*range(used), *free[:crowd]])
    sizes = (2, 3, 2)
    tables = [np.zeros((size, 1), dtype=np.float32) for size in sizes]
    quantised = Quantised(np.zeros((12, 3), dtype=np.int32), sizes, tables)
    found, _, _ = unique(quantised, np.zeros((12, 1), dtype=np.float32), 1)
    assert {tuple(row) for row in found.tolist()} == set(itertools.product(range(2), range(3), range(2)))


def test_a_catalogue_of_equal_items_gets_a_longer_last_level_and_says_so() -> None:
    quantised = Quantised(np.zeros((10, 2), dtype=np.int32), (1, 1), [np.zeros((1, 2), dtype=np.float32)] * 2)
    with pytest.warns(UserWarning, match=r"10 items on \(1, 1\) codes need 10 on a path, not 4"):
        codes, sizes, moved = unique(quantised, np.zeros((10, 2), dtype=np.float32), 4)
    assert codes[:, 2].tolist() == list(range(10)) and sizes == (1, 1, 10) and moved == 0


def test_numbers_that_float32_cannot_square_still_find_room() -> None:
    centroids = [np.array([[0.0], [1e25], [-2e25]], dtype=np.float32)]
    quantised = Quantised(np.array([[0], [0], [1], [2]], dtype=np.int32), (3,), centroids)
    embeddings = np.array([[0.0], [-1e25], [1e25], [-2e25]], dtype=np.float32)
    codes, _, moved = unique(quantised, embeddings, 2)
    assert moved == 0
    quantised = Quantised(np.array([[0], [0], [0], [1], [2]], dtype=np.int32), (3,), centroids)
    codes, _, moved = unique(quantised, embeddings[[0, 0, 1, 2, 3]], 2)
    assert moved == 1 and codes[:, 0].tolist() == [0, 0, 2, 1, 2]


def free(found: Quantised, vectors: np.ndarray) -> tuple[np.ndarray, tuple[int, ...], int]:
    return nearest_free(found.codes, found.codebooks, vectors)


def test_nearest_free_paths_are_distinct_and_stay_below_their_parent_where_they_can() -> None:
    compared = 0
    for seed in range(200):
        quantised, vectors, _ = random_world(seed)
        if np.prod(quantised.level_sizes) < len(vectors):
            with pytest.raises(ValueError, match=r"ids.collisions=nearest_free needs a path for every item, \d+, got"):
                free(quantised, vectors)
            continue
        codes, sizes, moved = free(quantised, vectors)
        SemanticIds(codes, sizes, {})  # checks ranges and uniqueness
        assert sizes == quantised.level_sizes and moved == (codes != quantised.codes).any(axis=1).sum()
        below = Counter(tuple(row[:-1]) for row in quantised.codes.tolist())
        if max(below.values()) <= sizes[-1]:
            assert np.array_equal(codes[:, :-1], quantised.codes[:, :-1])
        if len(np.unique(quantised.codes, axis=0)) == len(codes):
            assert moved == 0
        compared += moved > 0
    assert compared > 30


def test_a_full_parent_sends_items_to_the_nearest_paths_of_others() -> None:
    """300 items alike on 20 x 20 paths of the sums a + b: they take the 300 least ones."""
    two = [10 * np.arange(20, dtype=np.float32)[:, None], np.arange(20, dtype=np.float32)[:, None]]
    crowd = Quantised(np.zeros((300, 2), dtype=np.int32), (20, 20), two)
    codes, sizes, moved = free(crowd, np.zeros((300, 1), dtype=np.float32))
    values = np.sort(two[0][codes[:, 0], 0] + two[1][codes[:, 1], 0])
    every = np.sort((two[0] + two[1].T).ravel())
    assert moved == 299 and sizes == (20, 20) and np.array_equal(values, every[:300])


def test_popular_items_rank_first_and_equal_ones_by_number() -> None:
    assert popularity_ranks(np.array([3, 0, 7, 3, 0])).tolist() == [1, 3, 0, 2, 4]
