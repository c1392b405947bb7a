"""Residual k-means beside faiss: equal errors, and what a mixture is."""

import sys
from collections.abc import Callable

import numpy as np
import pytest
from omegaconf import DictConfig

from promise.bench import ids
from promise.bench.measure import Skipped, Timing
from promise.ids.quantizers.residual_kmeans import ResidualKMeans

faiss = pytest.importorskip("faiss")


def test_ours_is_timed_at_an_error_no_larger_than_theirs(quick: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: dict[str, Callable[[], object]] = {}

    def interleaved(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, Timing]:
        timed.update(functions)
        return {"residual_kmeans": Timing((2.0,)), "residual_kmeans_default": Timing((8.0,)), "faiss": Timing((4.0,))}

    def with_error(error: float) -> np.ndarray:
        return np.full((3, 1), error**0.5, dtype=np.float32)

    monkeypatch.setattr(ids, "quantised", lambda vectors, codes, count: count)
    monkeypatch.setattr(ids, "left_over", lambda vectors, count: with_error(1 / count))
    monkeypatch.setattr(ids, "left_by_faiss", lambda *_: with_error(0.21))
    monkeypatch.setattr(ids, "interleaved", interleaved)
    equal, default = ids.ids(quick)
    assert (equal.name, equal.ratio, equal.goal, equal.verdict) == ("residual_kmeans", 2.0, 1.0, "met")
    assert (default.name, default.ratio, default.goal) == ("residual_kmeans_default", 0.5, None)
    assert timed["residual_kmeans"]() == 5 and timed["residual_kmeans_default"]() == 25
    assert "mean squared error 0.2000 after 5 iterations, faiss k-means 0.2100 after 25" in equal.note
    monkeypatch.setattr(ids, "left_by_faiss", lambda *_: with_error(0.01))  # which ours never reaches
    assert [measure.verdict for measure in ids.ids(quick)] == ["", ""]


def test_both_leave_what_their_kind_of_quantiser_leaves() -> None:
    vectors = ids.mixture(500, 8, centres=20)
    ours = ids.left_over(vectors, ids.quantised(vectors, 8, 25))
    theirs = ids.left_by_faiss(faiss, vectors, 8)
    assert ours.shape == theirs.shape == vectors.shape
    assert 0.5 < ids.squared(ours) / ids.squared(theirs) < 2.0 and ids.squared(theirs) < 0.5 * ids.squared(vectors)
    assert ids.squared(np.array([[3.0, 4.0], [0.0, 1.0]], dtype=np.float32)) == 13.0


def test_what_is_left_over_is_what_the_centroids_do_not_add_up_to() -> None:
    quantizer = ResidualKMeans(2, 2, iterations=1, restarts=1)
    vectors = np.array([[2.0], [6.0], [2.5], [7.0]], dtype=np.float32)
    quantizer.fit(vectors, seed=0)
    sums = sum(book[column] for column, book in zip(quantizer.encode(vectors).T, quantizer.codebooks, strict=True))
    np.testing.assert_allclose(ids.left_over(vectors, quantizer), vectors - sums, atol=1e-6)


def test_a_mixture_has_rows_of_length_one_in_groups() -> None:
    vectors = ids.mixture(400, 16, centres=5)
    assert vectors.shape == (400, 16) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(400), abs=1e-5)
    assert vectors[:, 0].var() > 3 * vectors[:, 15].var()
    similar = vectors @ vectors.T
    assert np.quantile(similar, 0.9) > 0.5 > np.median(similar)
    assert np.array_equal(vectors, ids.mixture(400, 16, centres=5))


def test_without_faiss_it_is_skipped(quick: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(Skipped, match=r"needs faiss: pip install 'promise\[bench\]'"):
        list(ids.ids(quick))
