"""Item embeddings: against dense formulas, on odd catalogues, and blind to validation and test items."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from promise.data.embeddings.co_occurrence import CoOccurrenceEmbedding, count_pairs, positive_information
from promise.data.embeddings.concatenation import Concatenation
from promise.data.embeddings.given import GivenEmbedding
from promise.data.embeddings.protocol import NothingToEmbed
from promise.data.embeddings.text import TextEmbedding, word_weights
from promise.data.embeddings.vectors import reduced
from promise.data.histories import Histories

TEXTS = ["red box", "red box", "blue box", "blue lamp", None, "green lamp 5 ml"]


def table(texts: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"id": range(10, 10 + len(texts)), "text": pl.Series(texts, dtype=pl.String)})


def histories(sequences: list[list[int]], item_count: int) -> Histories:
    lengths = [len(sequence) for sequence in sequences]
    return Histories(
        np.array([item for sequence in sequences for item in sequence], dtype=np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item_count,
    )


def random_world(rng: np.random.Generator) -> tuple[list[list[int]], int]:
    item_count = int(rng.integers(2, 15))
    users = int(rng.integers(1, 12))
    return [rng.integers(item_count, size=rng.integers(3, 12)).tolist() for _ in range(users)], item_count


def flat(sequences: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Items and offsets of sequences taken whole (not their training parts)."""
    lengths = [len(sequence) for sequence in sequences]
    return np.concatenate(sequences).astype(np.int32), np.concatenate([[0], np.cumsum(lengths)])


def parts(text: float = 1.0, co_occurrence: float = 0.5) -> dict[str, dict[str, Any]]:
    return {
        "text": {"embedding": TextEmbedding(4, 1, 1), "weight": text},
        "co_occurrence": {"embedding": CoOccurrenceEmbedding(4, 2), "weight": co_occurrence},
    }


PAIRS = histories([[0, 1, 2, 5, 5], [1, 0, 3, 2, 2], [4, 3, 0, 1, 1]], 6)  # two or three training items each
ITEMS = table(TEXTS)
LONELY = histories([[0, 1, 2], [3, 4, 5]], 6)  # one training item each


def test_text_is_tf_idf_up_to_a_rotation() -> None:
    texts = [*TEXTS[:4], "", *TEXTS[5:]]
    found = TextEmbedding(50, 1, 2).embed(ITEMS, PAIRS, 0)
    oracle = TfidfVectorizer(token_pattern=r"\b\w+\b", ngram_range=(1, 2), sublinear_tf=True)
    dense = oracle.fit_transform(texts).toarray()
    assert found.dtype == np.float32 and found.shape[1] == np.linalg.matrix_rank(dense)
    np.testing.assert_allclose(found @ found.T, dense @ dense.T, atol=1e-5)


def test_rare_words_do_not_count_unless_there_are_no_others() -> None:
    found = TextEmbedding(9, 2, 1).embed(table(["red a", "red b", "blue c", "blue d", "e", "f"]), PAIRS, 0)
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    assert not found[4:].any()
    assert TextEmbedding(9, 2, 1).embed(table(list("abcdef")), PAIRS, 0).any(axis=1).all()


def test_text_of_one_item_and_of_any_script() -> None:
    one = histories([[0, 0, 0]], 1)
    np.testing.assert_allclose(np.abs(TextEmbedding(96, 2, 2).embed(table(["Ö"]), one, 0)), [[1.0]], atol=1e-6)
    two = histories([[0, 1, 0]], 2)
    assert TextEmbedding(96, 2, 2).embed(table(["口红 🙂", "крем"]), two, 0).any(axis=1).all()


@pytest.mark.parametrize(("rows", "columns", "rank"), [(400, 90, 90), (90, 400, 90), (500, 300, 300), (500, 300, 20)])
def test_reduction_is_that_of_a_dense_decomposition(rows: int, columns: int, rank: int) -> None:
    rng = np.random.default_rng(rows + rank)
    falling = rng.standard_normal((rows, rank)) * np.arange(1, rank + 1) ** -0.5 @ rng.standard_normal((rank, columns))
    dense = (falling * (rng.random(falling.shape) < 0.3) if rank > 20 else falling).astype(np.float32)
    found = reduced(sparse.csr_matrix(dense), 30, 0, "toy")
    _, strengths, directions = np.linalg.svd(dense, full_matrices=False)
    exact = dense @ directions[: min(30, rank)].T
    assert found.shape == exact.shape
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), strengths[: found.shape[1]], rtol=1e-2)
    assert np.square(found).sum() > 0.999 * np.square(exact).sum()


@pytest.mark.parametrize("texts", [[None] * 6, ["", " ", "!", "…", "\n", None]])
def test_no_words_at_all_is_said(texts: list[str | None]) -> None:
    assert word_weights(pl.Series(texts, dtype=pl.String), 1, 1) is None
    assert word_weights(pl.Series(["red", "soap"]), 2, 1) is None
    with pytest.raises(NothingToEmbed, match="the items have no texts"):
        TextEmbedding(4, 1, 1).embed(table(texts), PAIRS, 0)


@pytest.mark.parametrize("seed", range(20))
def test_pairs_and_information_are_those_of_plain_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sequences, item_count = random_world(rng)
    window = int(rng.integers(1, 6))
    counts = np.zeros((item_count, item_count))
    for sequence in sequences:
        for i in range(len(sequence)):
            for j in range(len(sequence)):
                if 1 <= abs(i - j) <= window and sequence[i] != sequence[j]:
                    counts[sequence[i], sequence[j]] += 1 / abs(i - j)
    found = count_pairs(*flat(sequences), item_count, window)
    np.testing.assert_allclose(found.toarray(), counts, atol=1e-12)
    information = np.zeros_like(counts)
    for i, j in zip(*counts.nonzero(), strict=True):
        value = math.log(counts[i, j] * counts.sum() / (counts[i].sum() * counts[j].sum()))
        information[i, j] = max(0.0, value)
    np.testing.assert_allclose(positive_information(found).toarray(), information, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_full_width_keeps_the_angles_of_the_information_rows(seed: int) -> None:
    sequences, item_count = random_world(np.random.default_rng(seed))
    world = histories([[*sequence, 0, 0] for sequence in sequences], item_count)  # training part = sequence
    rows = positive_information(count_pairs(*flat(sequences), item_count, 3)).toarray()
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    found = CoOccurrenceEmbedding(99, 3).embed(table([None] * item_count), world, seed)
    assert found.dtype == np.float32 and found.shape[1] <= item_count
    np.testing.assert_allclose(found @ found.T, rows @ rows.T, atol=1e-4)


def test_validation_and_test_items_change_nothing() -> None:
    rng = np.random.default_rng(0)
    training = [rng.integers(40, size=rng.integers(1, 9)).tolist() for _ in range(60)]
    embedding = CoOccurrenceEmbedding(8, 3)
    found = [
        embedding.embed(ITEMS, histories([[*known, *rng.integers(40, size=2).tolist()] for known in training], 40), 0)
        for _ in range(3)
    ]
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()
    unlike = histories([[*known[:-1], 0, 1, 2] for known in training], 40)
    assert not np.array_equal(embedding.embed(ITEMS, unlike, 0), found[0])


def test_items_without_company_get_zeros() -> None:
    for count in (2, 6):
        found = CoOccurrenceEmbedding(4, 2).embed(ITEMS, histories([[0, 1, 0, 1], [0, 0, 1]], count), 0)
        assert found[:2].any(axis=1).all() and not found[2:].any()


@pytest.mark.parametrize("world", [LONELY, histories([[0, 0, 0, 0]], 1), histories([[1, 1, 1, 0, 0]], 2)])
def test_no_pair_at_all_is_said(world: Histories) -> None:
    with pytest.raises(NothingToEmbed, match="no training history holds two different items"):
        CoOccurrenceEmbedding(4, 2).embed(ITEMS, world, 0)


def test_parts_stand_side_by_side_at_their_weights() -> None:
    found = Concatenation(parts(text=2.0, co_occurrence=0.5)).embed(ITEMS, PAIRS, 0)
    text = TextEmbedding(4, 1, 1).embed(ITEMS, PAIRS, 0)
    company = CoOccurrenceEmbedding(4, 2).embed(ITEMS, PAIRS, 0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.hstack([2 * text, 0.5 * company]), atol=1e-6)


def test_part_without_data_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    found = Concatenation(parts()).embed(table([None] * 6), PAIRS, 0)
    np.testing.assert_allclose(found, 0.5 * CoOccurrenceEmbedding(4, 2).embed(ITEMS, PAIRS, 0), atol=1e-6)
    assert "embeddings.parts.text is left out: the items have no texts" in caplog.text
    caplog.clear()
    assert Concatenation(parts()).embed(ITEMS, LONELY, 0).shape[1] == 4
    assert "embeddings.parts.co_occurrence is left out: no training history" in caplog.text


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(NothingToEmbed, match=r"no part of the embeddings can be computed: text: .*; co_occurrence: "):
        Concatenation(parts()).embed(table([None] * 6), LONELY, 0)


def test_weight_zero_leaves_a_part_out_silently(caplog: pytest.LogCaptureFixture) -> None:
    assert Concatenation(parts(text=0)).embed(table([None] * 6), PAIRS, 0).shape[1] <= 4
    assert not caplog.text


@pytest.mark.parametrize("embedding", [TextEmbedding(3, 1, 2), CoOccurrenceEmbedding(3, 2), Concatenation(parts())])
def test_same_seed_same_vectors(embedding: Any) -> None:
    first, again = (embedding.embed(ITEMS, PAIRS, 7) for _ in range(2))
    assert (first == again).all() and np.isfinite(first).all()


def test_fingerprints_tell_parameters_and_file_contents_apart(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    np.save(tmp_path / "b.npy", np.ones((2, 2)))
    (tmp_path / "c.npy").write_bytes((tmp_path / "a.npy").read_bytes())
    a, b, c = (GivenEmbedding(str(tmp_path / name), None) for name in ("a.npy", "b.npy", "c.npy"))
    assert a.fingerprint() == c.fingerprint()
    different = [
        a,
        b,
        GivenEmbedding(str(a.path), str(c.path)),
        TextEmbedding(3, 1, 2),
        TextEmbedding(3, 2, 1),
        TextEmbedding(2, 1, 2),
    ]
    different += [CoOccurrenceEmbedding(3, 2), CoOccurrenceEmbedding(2, 3)]
    different += [Concatenation(parts()), Concatenation(parts(text=2.0)), Concatenation(parts(text=0))]
    assert len({embedding.fingerprint() for embedding in different}) == len(different)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TextEmbedding(0, 1, 1), "embeddings.dim must be an integer >= 1, got 0"),
        (lambda: TextEmbedding(8, 0, 1), "embeddings.min_df must be an integer >= 1, got 0"),
        (lambda: TextEmbedding(8, 1, 1.5), "embeddings.ngrams must be an integer >= 1, got 1.5"),
        (lambda: CoOccurrenceEmbedding("a", 1), "embeddings.dim must be an integer >= 1, got 'a'"),
        (lambda: CoOccurrenceEmbedding(8, True), "embeddings.window must be an integer >= 1, got True"),
        (lambda: Concatenation({}), "embeddings.parts must hold at least one part with a weight above 0"),
        (lambda: Concatenation(parts(0, 0)), "embeddings.parts must hold at least one part"),
        (lambda: Concatenation(parts(-1)), "embeddings.parts.text.weight must be finite and >= 0, got -1"),
        (lambda: Concatenation(parts(1, math.nan)), "co_occurrence.weight must be finite and >= 0, got nan"),
        (lambda: Concatenation(parts(1, math.inf)), "co_occurrence.weight must be finite and >= 0, got inf"),
    ],
)
def test_bad_parameters_are_named(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
