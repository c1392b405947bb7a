"""Paths by beam search, by assignment and by least squares, beside brute force in plain Python."""

import itertools
import math

import numpy as np
import pytest

from promise.ids.quantizers.paths import nearest_paths, refitted, spread


def world(seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, size=rng.integers(1, 4))
    books = [rng.normal(size=(size, 3)).astype(np.float32) for size in sizes]
    return rng.normal(size=(rng.integers(1, 30), 3)).astype(np.float32), books


def gaps(vectors: np.ndarray, books: list[np.ndarray]) -> dict[tuple[int, ...], np.ndarray]:
    """Path -> squared distances of all vectors."""
    sums = {
        path: sum(book[code] for book, code in zip(books, path, strict=True))
        for path in itertools.product(*(range(len(book)) for book in books))
    }
    return {path: np.square(vectors - total).sum(axis=1) for path, total in sums.items()}


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_beam_lists_all_paths_by_distance_and_a_narrow_one_is_greedy(seed: int) -> None:
    vectors, books = world(seed)
    slow = gaps(vectors, books)
    paths, distances = nearest_paths(vectors, books, 1000)
    assert paths.dtype == np.int32 and paths.shape == (len(vectors), len(slow), len(books))
    for item, (rows, found) in enumerate(zip(paths.tolist(), distances, strict=True)):
        assert sorted(map(tuple, rows)) == sorted(slow)
        np.testing.assert_allclose(found, [slow[tuple(row)][item] for row in rows], atol=1e-4)
        assert (np.diff(found) >= -1e-6).all()
    greedy, left = nearest_paths(vectors, books, 1)[0][:, 0], vectors
    for book, codes in zip(books, greedy.T, strict=True):
        all_gaps = np.square(left[:, None] - book).sum(2)
        assert (all_gaps[np.arange(len(left)), codes] <= all_gaps.min(1) + 1e-5).all()
        left = left - book[codes]


@pytest.mark.parametrize("seed", range(60))
def test_last_codes_are_dealt_at_the_least_error_of_all_ways(seed: int) -> None:
    vectors, books = world(seed)
    vectors, books = vectors[: max(3, len(books[-1]))], [*books[:-1][:1], books[-1]]
    codes = nearest_paths(vectors, books, 1)[0][:, 0]
    found = spread(vectors, codes, books)
    assert np.array_equal(found[:, :-1], codes[:, :-1])
    parents: dict[tuple[int, ...], list[int]] = {}
    for item, row in enumerate(codes[:, :-1].tolist()):
        parents.setdefault(tuple(row), []).append(item)
    slow = gaps(vectors, books)
    for parent, items in parents.items():
        last = found[items, -1].tolist()
        spare = -(-len(items) // len(books[-1]))  # items that must share a code
        assert max(last.count(code) for code in last) <= spare
        ways = itertools.permutations(list(range(len(books[-1]))) * spare, len(items))
        cost = [sum(slow[(*parent, code)][item] for item, code in zip(items, way, strict=True)) for way in ways]
        kept = sum(slow[(*parent, code)][item] for item, code in zip(items, last, strict=True))
        assert kept == pytest.approx(min(cost), abs=1e-4)


def test_distinct_last_codes_and_crowds_stay() -> None:
    books = [np.zeros((1, 1), dtype=np.float32), np.arange(3, dtype=np.float32)[:, None]]
    for last in ([2, 0, 1], [1] * 13):  # the first are not the nearest, the others too many for three codes
        codes = np.stack([np.zeros(len(last)), last], axis=1).astype(np.int32)
        assert np.array_equal(spread(np.zeros((len(last), 1), dtype=np.float32), codes, books), codes)


def test_an_item_for_which_a_distinct_code_is_too_far_shares_its_own() -> None:
    """Three items at 0, codes at 0, 1 and 4: the new errors are 0, 1 and 16, the mean one before 2 / 4."""
    books = [np.array([[0.0], [1.0], [4.0], [90.0]], dtype=np.float32)]
    vectors = np.array([[0.0], [0.0], [0.0], [90.0 + math.sqrt(2)]], dtype=np.float32)
    codes = np.array([[0], [0], [0], [3]], dtype=np.int32)
    for detour, last in ((math.inf, [0, 1, 2]), (2.1, [0, 0, 1]), (1.9, [0, 0, 0])):
        assert sorted(spread(vectors, codes, books, detour)[:3, 0].tolist()) == last


@pytest.mark.parametrize("seed", range(10))
def test_refitted_codewords_leave_the_least_error(seed: int) -> None:
    vectors, books = world(seed)
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(len(book), size=len(vectors)) for book in books], axis=1).astype(np.int32)
    sizes = [len(book) for book in books]
    taken = np.concatenate([np.eye(size)[column] for size, column in zip(sizes, codes.T, strict=True)], axis=1)
    best = np.linalg.lstsq(taken, vectors, rcond=None)[0]
    found = np.concatenate(refitted(vectors, codes, sizes))
    assert found.dtype == np.float32
    np.testing.assert_allclose(taken @ found, taken @ best, atol=0.02)
