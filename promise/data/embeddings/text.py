"""TextEmbedding: TF-IDF of the items' texts, reduced by a truncated SVD."""

import numpy as np
import polars as pl
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from promise.data.embeddings.protocol import NothingToEmbed
from promise.data.embeddings.vectors import digest, reduced, unit_rows
from promise.data.histories import Histories
from promise.ids.quantizers.checks import check_count

# One-letter words count too: sizes ("5 ml") and scripts with short words carry meaning.
_WORD = r"\w+"


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
        for name, value in (("dim", dim), ("min_df", min_df), ("ngrams", ngrams)):
            check_count(f"embeddings.{name}", value)
        self.dim, self.min_df, self.ngrams = dim, min_df, ngrams

    def embed(self, items: pl.DataFrame, histories: Histories, seed: int) -> np.ndarray:
        """Embeds the texts: (I, E) float32; an item without words gets a row of zeros."""
        words = word_weights(items["text"], self.min_df, self.ngrams)
        words = word_weights(items["text"], 1, self.ngrams) if words is None else words
        if words is None:
            raise NothingToEmbed("the items have no texts (embeddings=co_occurrence needs none)")
        return unit_rows(reduced(words, self.dim, seed, "texts"))

    def fingerprint(self) -> str:
        """Returns a hash of the parameters."""
        return digest("text-2", self.dim, self.min_df, self.ngrams)


def word_weights(texts: pl.Series, min_df: int, ngrams: int) -> sparse.csr_matrix | None:
    """TF-IDF of words and word groups: (I, words), rows of length 1 or 0; None when no word is in `min_df` texts.

    Args:
        texts: (I,) String, null where there is none.
        min_df: number of texts in which a word must occur to count.
        ngrams: longest word group that counts as a word of its own.
    """
    lists = texts.str.to_lowercase().str.extract_all(_WORD)
    owner = np.repeat(np.arange(len(texts)), lists.list.len().fill_null(0).to_numpy())
    found = lists.explode().drop_nulls()
    vocabulary = found.unique().sort()  # so that a word's column depends on the texts alone
    words = found.cast(pl.Enum(vocabulary)).to_physical().to_numpy().astype(np.int64)
    groups, columns = words, []
    for size in range(1, ngrams + 1):
        if size > 1:  # a group of one word less, and the word that follows it
            groups = np.unique(groups[:-1] * len(vocabulary) + words[size - 1 :], return_inverse=True)[1]
        whole = owner[: len(groups)] == owner[size - 1 :]
        place = owner[: len(groups)][whole], groups[whole]
        ones, width = np.ones(len(place[0]), np.float32), int(groups.max(initial=-1)) + 1
        counts = sparse.coo_matrix((ones, place), shape=(len(texts), width)).tocsr()
        columns.append(counts[:, np.bincount(counts.indices, minlength=width) >= min(min_df, len(texts))])
    counts = sparse.hstack(columns, format="csr")
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts) if counts.nnz else None
