"""CoOccurrenceEmbedding: what is bought together in training histories, reduced by a truncated SVD."""

import numpy as np
import polars as pl
from scipy import sparse

from promise.data.embeddings.protocol import NothingToEmbed
from promise.data.embeddings.vectors import digest, reduced, unit_rows
from promise.data.histories import Histories
from promise.ids.quantizers.checks import check_count


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
        check_count("embeddings.dim", dim)
        check_count("embeddings.window", window)
        self.dim, self.window = dim, window

    def embed(self, items: pl.DataFrame, histories: Histories, seed: int) -> np.ndarray:
        """Embeds what was bought together: (I, E) float32; an item without company gets a row of zeros."""
        pairs = count_pairs(*histories.training_items(), histories.item_count, self.window)
        if pairs.nnz == 0:
            raise NothingToEmbed("no training history holds two different items (embeddings=text needs none)")
        return unit_rows(reduced(positive_information(pairs), self.dim, seed, "purchases"))

    def fingerprint(self) -> str:
        """Returns a hash of the parameters."""
        return digest("co_occurrence-2", self.dim, self.window)


def count_pairs(items: np.ndarray, offsets: np.ndarray, item_count: int, window: int) -> sparse.csr_matrix:
    """Counts how often two different items stand near each other, each pair at distance d <= window as 1 / d.

    Items (n,) are of one user after the other, offsets (users + 1,) where each one's begin; the result is a symmetric
    (I, I) float64 matrix with an empty diagonal.
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
    """Turns symmetric pair counts (I, I) into positive pointwise mutual information in nats, (I, I) float32."""
    totals = np.asarray(pairs.sum(axis=1)).ravel()
    rows = np.repeat(totals, np.diff(pairs.indptr))
    values = np.log(pairs.data * totals.sum() / (rows * totals[pairs.indices])).clip(0).astype(np.float32)
    information = sparse.csr_matrix((values, pairs.indices, pairs.indptr), shape=pairs.shape)
    information.eliminate_zeros()
    return information
