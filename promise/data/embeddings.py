"""Item embeddings: from texts, from what is bought together, from a file, or a weighted concatenation."""

import hashlib
import io
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

from promise.data.histories import Histories

logger = logging.getLogger(__name__)

# One-letter words count too: sizes ("5 ml") and scripts with short words carry meaning.
_WORD = r"(?u)\b\w+\b"


class NothingToEmbed(ValueError):
    """The data hold nothing that this kind of embedding could be computed from."""


class ItemEmbedding(Protocol):
    """Turns items into vectors."""

    def embed(self, texts: Sequence[str | None], histories: Histories, seed: int) -> np.ndarray:
        """Embeds every item of the catalogue.

        Args:
            texts: one text per item (I,), None where there is none.
            histories: the users' histories; only their training parts are looked at.
            seed: of the randomised decomposition, 0 .. 2**32 - 1.

        Returns:
            (I, E) float32.

        Raises:
            NothingToEmbed: the data hold nothing to compute this embedding from.
        """
        ...

    def fingerprint(self) -> str:
        """Returns a hash of everything besides the data and the seed that decides the vectors (no paths)."""
        ...


class TextEmbedding:
    """TF-IDF of the words and word groups of an item's text, reduced by a truncated SVD; rows have length 1.

    Args:
        dim: width E of the vectors, >= 1; smaller where the texts do not span as much.
        min_df: number of items, >= 1, in which a word must occur to count; 1 if no word would be left.
        ngrams: longest word group, >= 1, that counts as a word of its own.

    Raises:
        ValueError: a parameter is out of range.
    """

    def __init__(self, dim: int, min_df: int, ngrams: int) -> None:
        self.dim = _at_least_one("dim", dim)
        self.min_df = _at_least_one("min_df", min_df)
        self.ngrams = _at_least_one("ngrams", ngrams)

    def embed(self, texts: Sequence[str | None], histories: Histories, seed: int) -> np.ndarray:
        """Embeds the texts: (I,) -> (I, E) float32; an item without words gets a row of zeros.

        Raises:
            NothingToEmbed: no item has a text with a word in it.
            ValueError: the number of texts is not the number of items.
        """
        if len(texts) != histories.item_count:
            raise ValueError(f"expected one text per item, got {len(texts)} for {histories.item_count} items")
        words = word_weights(texts, self.min_df, self.ngrams)
        words = word_weights(texts, 1, self.ngrams) if words is None else words
        if words is None:
            raise NothingToEmbed("the items have no texts (embeddings=co_occurrence needs none)")
        return _unit_rows(_reduce(words, self.dim, seed))

    def fingerprint(self) -> str:
        """Returns a hash of the parameters."""
        return _digest("text-1", self.dim, self.min_df, self.ngrams)


class CoOccurrenceEmbedding:
    """Positive pointwise mutual information of items near each other in TRAINING histories, and an SVD.

    A pair at distance d <= window in a history counts 1 / d, in both directions. With counts c,
    PPMI(i, j) = max(0, log(c_ij * sum(c) / (c_i * c_j))) = M, and the vectors are U S of M ~ U S V', rows
    scaled to length 1.

    Args:
        dim: width E of the vectors, >= 1; smaller where the catalogue is.
        window: largest distance, >= 1, in purchases, at which two items of a history count as a pair.

    Raises:
        ValueError: a parameter is out of range.
    """

    def __init__(self, dim: int, window: int) -> None:
        self.dim = _at_least_one("dim", dim)
        self.window = _at_least_one("window", window)

    def embed(self, texts: Sequence[str | None], histories: Histories, seed: int) -> np.ndarray:
        """Embeds what was bought together: (I, E) float32; an item without company gets a row of zeros.

        Raises:
            NothingToEmbed: no training history holds two different items.
        """
        items, offsets = histories.training_items()
        pairs = count_pairs(np.asarray(items), np.asarray(offsets), histories.item_count, self.window)
        if pairs.nnz == 0:
            raise NothingToEmbed("no training history holds two different items (embeddings=text needs none)")
        return _unit_rows(_reduce(positive_information(pairs), self.dim, seed))

    def fingerprint(self) -> str:
        """Returns a hash of the parameters."""
        return _digest("co_occurrence-1", self.dim, self.window)


class GivenEmbedding:
    """Vectors computed elsewhere, one row per item in catalogue order.

    Args:
        path: .npy file with a 2-D array of numbers, I rows.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def embed(self, texts: Sequence[str | None], histories: Histories, seed: int) -> np.ndarray:
        """Reads the file: (I, E) float32, as it stands.

        Raises:
            ValueError: the file is missing, is no .npy array of real numbers, is not 2-D, has not one row
                per item, or holds a number that is not finite.
        """
        with self._open() as file:
            try:
                vectors = np.lib.format.read_array(file, allow_pickle=False)
            except (ValueError, EOFError) as error:
                raise ValueError(f"embeddings.path: {self.path} is not a .npy file of numbers") from error
        if vectors.dtype.kind not in "fiu":
            raise ValueError(f"embeddings.path: {self.path} is not a .npy file of numbers")
        if vectors.ndim != 2 or vectors.shape[1] == 0:
            raise ValueError(f"embeddings.path: expected a 2-D array (items, width), got shape {vectors.shape}")
        if len(vectors) != histories.item_count:
            raise ValueError(f"embeddings.path: expected {histories.item_count} rows, one per item, got {len(vectors)}")
        with np.errstate(over="ignore"):  # an overflow to infinity is reported below
            vectors = vectors.astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise ValueError(f"embeddings.path: row {bad[0]} holds a number that is not finite in float32")
        return vectors

    def fingerprint(self) -> str:
        """Returns a hash of the file's contents.

        Raises:
            ValueError: the file cannot be read.
        """
        with self._open() as file:
            return _digest("given-1", hashlib.file_digest(file, "sha256").hexdigest())

    def _open(self) -> io.BufferedReader:
        try:
            return Path(self.path).expanduser().open("rb")
        except OSError as error:
            raise ValueError(f"embeddings.path: cannot read {self.path}: {error.strerror}") from error


class Concatenation:
    """Several embeddings side by side; each one's rows are scaled to length 1, then to its weight.

    A part that the data hold nothing for (texts, in a source without them) is left out with a warning.

    Args:
        parts: name -> {"embedding": an ItemEmbedding, "weight": finite, >= 0; 0 leaves the part out}.

    Raises:
        ValueError: there is no part with a weight above 0, or a weight is negative or not finite.
    """

    def __init__(self, parts: Mapping[str, Mapping[str, Any]]) -> None:
        for name, part in parts.items():
            weight = part["weight"]
            if not isinstance(weight, int | float) or not 0 <= weight < math.inf:
                raise ValueError(f"embeddings.parts.{name}.weight must be finite and >= 0, got {weight}")
        self.parts = {name: part for name, part in parts.items() if part["weight"] > 0}
        if not self.parts:
            raise ValueError("embeddings.parts must hold at least one part with a weight above 0")

    def embed(self, texts: Sequence[str | None], histories: Histories, seed: int) -> np.ndarray:
        """Embeds every item by every part: (I, sum of the parts' E) float32.

        Raises:
            NothingToEmbed: no part is left.
        """
        columns, reasons = [], []
        for name, part in self.parts.items():
            try:
                vectors = part["embedding"].embed(texts, histories, seed)
            except NothingToEmbed as error:
                logger.warning("embeddings.parts.%s is left out: %s", name, error)
                reasons.append(f"{name}: {error}")
            else:
                columns.append(np.float32(part["weight"]) * _unit_rows(vectors))
        if not columns:
            raise NothingToEmbed("no part of the embeddings can be computed: " + "; ".join(reasons))
        return np.hstack(columns)

    def fingerprint(self) -> str:
        """Returns a hash of the parts, their order and their weights."""
        return _digest(
            "concatenation-1",
            *((part["embedding"].fingerprint(), part["weight"]) for part in self.parts.values()),
        )


def word_weights(texts: Sequence[str | None], min_df: int, ngrams: int) -> sparse.csr_matrix | None:
    """TF-IDF of words and word groups: (I, words), rows of length 1 or 0; None when no word is in `min_df` texts."""
    vectorizer = TfidfVectorizer(
        token_pattern=_WORD,
        ngram_range=(1, ngrams),
        min_df=min(min_df, len(texts)),
        sublinear_tf=True,
        dtype=np.float32,
    )
    try:
        return vectorizer.fit_transform([text or "" for text in texts])
    except ValueError:  # sklearn's only sign of an empty vocabulary
        return None


def count_pairs(items: np.ndarray, offsets: np.ndarray, item_count: int, window: int) -> sparse.csr_matrix:
    """Counts how often two different items stand near each other, each pair at distance d as 1 / d.

    Args:
        items: (n,) item indices, one user after the other.
        offsets: (users + 1,) where each user's items begin.
        item_count: I.
        window: largest distance that counts, >= 1.

    Returns:
        (I, I) symmetric sparse float64 matrix with an empty diagonal.
    """
    ends = np.repeat(offsets[1:], np.diff(offsets))
    counts = sparse.csr_matrix((item_count, item_count), dtype=np.float64)
    longest = int(np.diff(offsets).max(initial=0))
    for distance in range(1, min(window, longest - 1) + 1):
        first = np.flatnonzero(np.arange(distance, len(items)) < ends[:-distance])
        left, right = items[first], items[first + distance]
        left, right = left[left != right], right[left != right]
        weights = np.full(len(left), 1.0 / distance)
        counts = counts + sparse.csr_matrix((weights, (left, right)), shape=counts.shape)
    return (counts + counts.T).tocsr()


def positive_information(pairs: sparse.csr_matrix) -> sparse.csr_matrix:
    """Turns symmetric pair counts (I, I) into positive pointwise mutual information in nats, (I, I)."""
    entries, totals = pairs.tocoo(), np.asarray(pairs.sum(axis=1)).ravel()
    values = np.log(entries.data * totals.sum() / (totals[entries.row] * totals[entries.col]))
    keep = values > 0
    return sparse.csr_matrix((values[keep], (entries.row[keep], entries.col[keep])), shape=pairs.shape)


def _reduce(matrix: sparse.csr_matrix, dim: int, seed: int) -> np.ndarray:
    """Returns U S of the truncated SVD U S V' of an (I, n) matrix: (I, E), E = dim or the rank."""
    _, strengths, directions = randomized_svd(matrix, min(dim, *matrix.shape), random_state=seed)
    kept = strengths > 1e-6 * strengths[0]
    # Not from U: as a product, equal rows stay equal to the bit and empty rows exactly zero.
    return (matrix @ directions[kept].T).astype(np.float32)


def _unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scales the rows of (I, E) to length 1; rows of zeros stay."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = vectors / np.where(largest > 0, largest, 1)  # so that squares neither overflow nor vanish
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return (scaled / np.where(norms > 0, norms, 1)).astype(np.float32)


def _at_least_one(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"embeddings.{name} must be an integer >= 1, got {value}")
    return value


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
