"""OPQ: codes are the nearest codewords, the rotation helps, and what is refused."""

from typing import Any

import numpy as np
import pytest

from promise.ids.quantizers import opq
from promise.ids.quantizers.checks import check_encoding
from promise.ids.quantizers.opq import OPQ
from promise.ids.quantizers.paths import reconstruct


@pytest.fixture
def vectors() -> np.ndarray:
    """200 vectors of 7 numbers, far from the origin; two of the directions hold nearly all variance, each mixed."""
    rng = np.random.default_rng(0)
    spread = np.diag([9, 9, 0.1, 0.1, 0.1, 0.1, 0.1]) @ np.linalg.qr(rng.normal(size=(7, 7)))[0]
    return (rng.normal(size=(200, 7)) @ spread + 50).astype(np.float32)


def error(quantizer: OPQ, vectors: np.ndarray) -> float:
    return float(np.square(vectors - reconstruct(quantizer.encode(vectors), quantizer.codebooks)).sum(1).mean())


def test_an_item_has_the_nearest_of_all_paths(vectors: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("faiss")
    quantizer = OPQ(2, 8, 5)
    quantizer.fit(vectors, seed=3)
    codes = quantizer.encode(vectors)
    check_encoding(codes, quantizer.codebooks, quantizer.level_sizes, *vectors.shape)
    both = np.stack(np.meshgrid(range(8), range(8), indexing="ij"), -1).reshape(-1, 2).astype(np.int32)
    points = reconstruct(both, quantizer.codebooks).astype(np.float64)
    distances = np.square(vectors[:, None] - points).sum(-1)  # (I, K * K)
    own = np.take_along_axis(distances, (codes[:, :1] * 8 + codes[:, 1:]).astype(np.int64), 1)[:, 0]
    np.testing.assert_allclose(own, distances.min(1), rtol=1e-3)
    assert capfd.readouterr() == ("", "")
    again = OPQ(2, 8, 5)
    again.fit(vectors, seed=3)
    assert np.array_equal(codes, again.encode(vectors)) and np.array_equal(codes[:5], again.encode(vectors[:5]))


def test_one_part_each_for_two_directions_leaves_little(vectors: np.ndarray) -> None:
    pytest.importorskip("faiss")
    quantizer = OPQ(2, 64, 20)
    quantizer.fit(vectors, seed=0)
    assert error(quantizer, vectors) < 0.02 * vectors.var(0).sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((3, 100, 5), "ids.codes must be a power of 2 up to 65536 for ids=opq, got 100"),
        ((3, [8, 8, 8], 5), r"ids.codes must be a power of 2 up to 65536 for ids=opq, got \[8, 8, 8\]"),
        ((3, 8, 0), "ids.iterations must be an integer >= 1, got 0"),
        ((0, 8, 5), "ids.levels must be an integer >= 1, got 0"),
    ],
)
def test_what_is_refused(options: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opq, "find_spec", lambda name: name)
    with pytest.raises(ValueError, match=f"^{message}$"):
        OPQ(*options)


def test_too_few_items(vectors: np.ndarray) -> None:
    pytest.importorskip("faiss")
    with pytest.raises(ValueError, match=r"^ids.codes must be at most the number of items, 5, got 8: 2 fits$"):
        OPQ(2, 8, 5).fit(vectors[:5], seed=0)


def test_without_faiss_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opq, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^ids=opq needs faiss: pip install -e '\.\[opq\]'$"):
        OPQ(3, 256, 50)
