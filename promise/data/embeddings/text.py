"""TextEmbedding: TF-IDF of the items' texts, reduced by a truncated SVD."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from promise.data.embeddings.protocol import NothingToEmbed
from promise.data.embeddings.vectors import at_least_one, digest, reduced, unit_rows
from promise.data.histories import Histories

# One-letter words count too: sizes ("5 ml") and scripts with short words carry meaning.
_WORD = r"(?u)\b\w+\b"


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
        self.dim = at_least_one("dim", dim)
        self.min_df = at_least_one("min_df", min_df)
        self.ngrams = at_least_one("ngrams", ngrams)

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
        return unit_rows(reduced(words, self.dim, seed))

    def fingerprint(self) -> str:
        """Returns a hash of the parameters."""
        return digest("text-1", self.dim, self.min_df, self.ngrams)


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
