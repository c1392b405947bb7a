"""ResidualKMeans: planted clusters, plain-Python assignments, clamping, seeds, wrong inputs."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch

from promise.ids.quantizers import residual_kmeans
from promise.ids.quantizers.paths import reconstruct
from promise.ids.quantizers.random import RandomCodes
from promise.ids.quantizers.residual_kmeans import ResidualKMeans

kmeans = partial(ResidualKMeans, refits=0, balance="none")


class Found(NamedTuple):
    """What a quantizer makes of vectors."""

    codes: np.ndarray
    codebooks: list[np.ndarray]

    @property
    def level_sizes(self) -> tuple[int, ...]:
        return tuple(map(len, self.codebooks))


def fitted(quantizer: ResidualKMeans, vectors: np.ndarray, seed: int) -> Found:
    quantizer.fit(vectors, seed)
    return Found(quantizer.encode(vectors), quantizer.codebooks)


def reconstruction(found: Found) -> np.ndarray:
    chosen = [table[found.codes[:, level]] for level, table in enumerate(found.codebooks)]
    return np.sum(chosen, axis=0)


def blobs(seed: int, items: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(items, width)).astype(np.float32)


def test_every_code_is_the_nearest_centroid_of_what_is_left_over() -> None:
    for seed in range(10):
        points = blobs(seed, 90, 5)
        found = fitted(kmeans(3, [4, 6, 3], iterations=8, restarts=1), points, seed)
        assert found.codes.dtype == np.int32 and found.level_sizes == (4, 6, 3)
        assert [table.shape for table in found.codebooks] == [(4, 5), (6, 5), (3, 5)]
        assert {table.dtype for table in found.codebooks} == {np.dtype(np.float32)}
        residual = points.astype(np.float64)
        for level, table in enumerate(found.codebooks):
            for item, vector in enumerate(residual):
                distances = [float(((vector - centre) ** 2).sum()) for centre in table]
                assert distances[found.codes[item, level]] <= min(distances) + 1e-5
            residual = residual - table[found.codes[:, level]]


def test_planted_clusters_are_found_wherever_and_however_large_they_are() -> None:
    rng = np.random.default_rng(0)
    coarse, fine = np.repeat(np.arange(4), 60), np.tile(np.repeat(np.arange(3), 20), 4)
    points = 100 * np.eye(8)[coarse] + 10 * np.eye(8)[4 + fine] + rng.normal(scale=0.01, size=(240, 8))
    for scale, offset in ((1, 0), (1e-25, 0), (1e30, 0), (1, 3e3)):
        table = (points * scale + offset).astype(np.float32)
        found = fitted(kmeans(2, [4, 3], iterations=20, restarts=5), table, 1)
        assert len({tuple(row) for row in found.codes.tolist()}) == 12
        assert len({(a, code) for a, code in zip(coarse, found.codes[:, 0], strict=True)}) == 4
        error = np.abs(reconstruction(found).astype(np.float64) - table).max()
        assert error < 0.2 * scale


def test_each_level_lowers_the_error_and_restarts_do_not_raise_it() -> None:
    points = blobs(5, 300, 6)
    errors = []
    for levels in (1, 2, 3):
        found = fitted(kmeans(levels, 8, iterations=15, restarts=1), points, 0)
        errors.append(float(((points - reconstruction(found)) ** 2).sum()))
    assert errors[0] > errors[1] > errors[2]
    best = fitted(kmeans(1, 8, iterations=15, restarts=6), points, 0)
    assert float(((points - reconstruction(best)) ** 2).sum()) <= 1.02 * errors[0]


def test_a_crowd_at_one_place_does_not_swallow_the_cloud_around_it() -> None:
    """A fifth of the items have no embedding (all zero); the other codes must still share out the rest."""
    points = np.concatenate([np.zeros((400, 64), dtype=np.float32), blobs(0, 1_600, 64)])
    found = fitted(kmeans(2, 16, iterations=15, restarts=1), points, 0)
    for level in range(2):
        counts = np.bincount(found.codes[400:, level], minlength=16)
        assert counts.min() > 0 and counts.max() < 400


def test_a_seed_gives_the_same_codes_and_another_seed_others() -> None:
    points = blobs(7, 400, 6)
    quantizer = kmeans(2, 16, iterations=10, restarts=2)
    first, again, other = (fitted(quantizer, points.copy(), seed) for seed in (4, 4, 5))
    assert np.array_equal(first.codes, again.codes)
    assert all(np.array_equal(a, b) for a, b in zip(first.codebooks, again.codebooks, strict=True))
    assert not np.array_equal(first.codes, other.codes)


def test_chunks_and_the_seeding_sample_do_not_break_it(monkeypatch: pytest.MonkeyPatch) -> None:
    points = blobs(8, 500, 6)
    quantizer = kmeans(2, 8, iterations=10, restarts=1)
    whole = fitted(quantizer, points, 0)
    monkeypatch.setattr(residual_kmeans, "CHUNK_ELEMENTS", 100)
    assert np.array_equal(fitted(quantizer, points, 0).codes, whole.codes)
    monkeypatch.setattr(residual_kmeans, "SEEDING_POINTS_PER_CODE", 4)
    assert fitted(quantizer, points, 0).level_sizes == (8, 8)


def test_mini_batches_leave_about_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    points, errors = blobs(9, 2_000, 4), []
    for large in (10**6, 1_000):
        monkeypatch.setattr(residual_kmeans, "LARGE", large)
        monkeypatch.setattr(residual_kmeans, "MINI_BATCH", 256)
        found, again = (fitted(kmeans(2, 8, iterations=20, restarts=1), points, 0) for _ in range(2))
        assert np.array_equal(found.codes, again.codes) and found.level_sizes == (8, 8)
        errors.append(float(np.square(points - reconstruction(found)).sum()))
    assert errors[0] != errors[1] and errors[1] < 1.1 * errors[0]


def test_few_distinct_vectors_clamp_the_levels_and_are_met_exactly() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        distinct = int(rng.integers(1, 6))
        which = np.concatenate([np.arange(distinct), rng.integers(distinct, size=20)])
        points = (1e3 * rng.normal(size=(distinct, 4)).astype(np.float32))[which]
        with pytest.warns(UserWarning, match=rf"ids.codes clamped from \[8, 8\] to \[{distinct}, 1\]"):
            found = fitted(kmeans(2, 8, iterations=5, restarts=1), points, seed)
        assert found.level_sizes == (distinct, 1)
        assert (found.codes[:, 1] == 0).all()
        groups = {(int(a), int(b)) for a, b in zip(which, found.codes[:, 0], strict=True)}
        assert len(groups) == distinct
        assert np.allclose(reconstruction(found), points, rtol=1e-5, atol=1e-3)


@pytest.mark.filterwarnings("ignore:ids.codes clamped")
@pytest.mark.parametrize("refits", [0, 1])
@pytest.mark.parametrize("points", [np.zeros((1, 1)), np.zeros((5, 3)), np.full((1, 2), 3.0), [[0.0], [-0.0]]])
def test_one_distinct_vector_has_one_path(points: np.ndarray, refits: int) -> None:
    found = fitted(kmeans(3, 256, iterations=5, restarts=1, refits=refits), np.asarray(points, dtype=np.float32), 0)
    assert found.level_sizes == (1, 1, 1) and not found.codes.any()
    assert np.allclose(reconstruction(found), points)


def test_duplicates_leave_no_rounding_noise_behind() -> None:
    """Six places, one held by a thousand copies, and five codes: level 2 has no noise to split."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(6, 3)).astype(np.float32)
    points = places[np.concatenate([np.zeros(1_000, dtype=int), np.arange(6)])]
    with pytest.warns(UserWarning, match="clamped"):
        found = fitted(kmeans(2, 5, iterations=20, restarts=3), points, 0)
    assert found.level_sizes[1] <= 3
    assert np.allclose(reconstruction(found), points, atol=1e-5)


def test_empty_codes_move_to_the_points_furthest_from_their_centre() -> None:
    points = torch.tensor([[0.0], [0.1], [0.2], [9.0]])
    centres = torch.tensor([[0.1], [50.0]])
    squares = points.square().sum(dim=1)
    start = residual_kmeans._nearest(points, squares, centres)
    assert start.assigned.tolist() == [0, 0, 0, 0]
    assert residual_kmeans._means(points, *start)[1].tolist() == [9.0]
    found = residual_kmeans._lloyd(points, squares, start, 10)
    assert found.assigned.tolist() == [0, 0, 0, 1]
    assert found.centres.flatten().tolist() == pytest.approx([0.1, 9.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8, 5, 1), "ids.levels must be an integer >= 1, got 0"),
        ((2, 0, 5, 1), "ids.codes must be an integer >= 1, got 0"),
        ((2, [4, -1], 5, 1), "ids.codes must be an integer >= 1, got -1"),
        ((2, 2.5, 5, 1), r"ids.codes must be an integer >= 1, got 2\.5"),
        ((2, True, 5, 1), "ids.codes must be an integer >= 1, got True"),
        ((2, [4, 4, 4], 5, 1), r"ids.codes must be one number or 2 \(ids.levels\), got 3"),
        ((2, 8, 5, 1, -1), "ids.refits must be an integer >= 0, got -1"),
        ((2, 8, 5, 1, 0, "all"), "ids.balance must be none or last_level, got all"),
        ((2, 8, 0, 1), "ids.iterations must be an integer >= 1, got 0"),
        ((2, 8, 5, 0), "ids.restarts must be an integer >= 1, got 0"),
        (("3", 8, 5, 1), "ids.levels must be an integer >= 1, got '3'"),
    ],
)
def test_refuses_wrong_arguments(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResidualKMeans(*arguments, *(0, "none")[len(arguments) - 4 :])


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        ([[0, 0], [0, np.nan], [np.inf, 0]], "got NaN or infinity for item 1"),
        (np.array([[0.0], [1e300]]), "got NaN or infinity for item 1"),
        ([1.0, 2.0], r"must be a table \(items, width\) with no empty side, got \(2,\)"),
        (np.zeros((0, 4)), r"got \(0, 4\)"),
        (np.zeros((4, 0)), r"got \(4, 0\)"),
    ],
)
def test_refuses_wrong_embeddings(embeddings: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(kmeans(1, 2, iterations=1, restarts=1), embeddings, 0)  # type: ignore[arg-type]


def test_refits_lower_the_error_and_new_items_take_the_fitted_paths() -> None:
    points, new = blobs(3, 400, 6), blobs(4, 100, 6)
    errors = {}
    for refits in (0, 2):
        quantizer = kmeans(2, 8, iterations=10, restarts=1, refits=refits)
        codes = fitted(quantizer, 1e3 + points, 0).codes
        left = [
            table - reconstruct(found, quantizer.codebooks)
            for table, found in ((1e3 + points, codes), (1e3 + new, quantizer.encode(1e3 + new)))
        ]
        errors[refits] = [float(np.square(each).sum()) for each in left]
        assert np.array_equal(quantizer.encode(1e3 + points[[7, 3]]), codes[[7, 3]])
    assert errors[2][0] < 0.97 * errors[0][0] and errors[2][1] < errors[0][1]


def test_balanced_items_share_fewer_paths_and_keep_their_parents() -> None:
    points = blobs(5, 60, 3)
    plain, balanced = (fitted(kmeans(2, 8, 10, 1, balance=balance), points, 0) for balance in ("none", "last_level"))
    assert np.array_equal(plain.codes[:, 0], balanced.codes[:, 0])
    shared = [len(points) - len(np.unique(found.codes, axis=0)) for found in (plain, balanced)]
    assert shared[1] < shared[0]


def test_fewer_items_than_codes_says_what_fits() -> None:
    for items, fits in ((1, 1), (7, 2), (200, 8)):
        with pytest.warns(UserWarning, match=rf"clamped from .* per level: ids.codes={fits} fits {items} items$"):
            kmeans(3, [4, 256, 4], iterations=5, restarts=1).fit(blobs(0, items, 2), 0)


def test_random_codes_are_the_same_paths_on_other_items() -> None:
    points = blobs(0, 200, 4)
    plain, dealt, again, other = (
        fitted(kind(2, 8, 5, 1, 0, "none"), points, seed)
        for kind, seed in ((ResidualKMeans, 3), (RandomCodes, 3), (RandomCodes, 3), (RandomCodes, 4))
    )
    np.testing.assert_array_equal(dealt.codes, again.codes)
    assert (dealt.codes != other.codes).any()
    assert sorted(map(tuple, dealt.codes)) == sorted(map(tuple, plain.codes))
    # of 64 paths, an item meets its own again about once in 64 times
    assert np.mean((dealt.codes == plain.codes).all(1)) < 0.1
    assert dealt.level_sizes == plain.level_sizes
