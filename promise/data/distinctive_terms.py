"""DistinctiveTerms: words that are far more frequent in a group of items than in the whole catalogue."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.feature_extraction.text import CountVectorizer


class DistinctiveTerms:
    """Names groups of items by the few words that set them apart.

    Args:
        texts: (I,) text of every item, None where it has none.

    Example:
        >>> DistinctiveTerms(["Red Lamp", "Blue Lamp", "Red Mug", "Blue Mug", None]).of([0, 1], count=1)
        'Lamp 100 %'
    """

    def __init__(self, texts: Sequence[str | None]) -> None:
        self.texts = texts
        counter = CountVectorizer(binary=True, lowercase=False, dtype=np.float32)
        try:
            self.counts = counter.fit_transform([text or "" for text in texts]).tocsr()
        except ValueError:  # sklearn's only sign of an empty vocabulary
            self.counts = None
            return
        self.words = counter.get_feature_names_out()
        self.shares = np.asarray(self.counts.mean(axis=0)).ravel()

    def of(self, items: ArrayLike, count: int = 3) -> str:
        """The words that set a group apart, each with its share of the group; of one item its text.

        A word counts by share * log(share / share in the catalogue): what it adds to the group's divergence from the
        catalogue.

        Args:
            items: (n,) item indices.
            count: Most words.

        Returns:
            Such as `Bath 92 %, Tray 40 %`; empty where nothing sets the group apart. The text of a single item is cut
            at 80 characters.
        """
        group = np.asarray(items)
        if len(group) == 1:
            text = self.texts[int(group[0])] or ""
            return text if len(text) <= 80 else f"{text[:79].rstrip()}…"
        if self.counts is None or not len(group):
            return ""
        shares = np.asarray(self.counts[group].mean(axis=0)).ravel()
        above = np.flatnonzero(shares > self.shares)
        gains = shares[above] * np.log(shares[above] / self.shares[above])
        best = above[np.argsort(-gains, kind="stable")[:count]]
        return ", ".join(f"{self.words[word]} {100 * shares[word]:.0f} %" for word in best)
