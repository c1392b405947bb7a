"""Quantizer: the interface of everything that turns item embeddings into codes, level by level."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Quantizer(Protocol):
    """Learns codebooks from embeddings and encodes items with them; items may share a path.

    A constructor that names `items` as a run-time argument gets the ids of the catalogue's items (I,). An option whose
    name ends in `path` is a file, known by its contents.
    """

    @property
    def level_sizes(self) -> Sequence[int]:
        """(L,) most codes of each level, coarse to fine; known before `fit`."""
        ...

    @property
    def codebooks(self) -> Sequence[NDArray[np.float32]]:
        """L arrays (K_b, E), K_b at most the level's size; an item's codewords sum to about its embedding."""
        ...

    def fit(self, vectors: NDArray[np.float32], seed: int) -> object:
        """Learns the codebooks. The same seed and vectors give the same ones.

        Args:
            vectors: (I, E) finite numbers, one row per item.
            seed: >= 0.
        """
        ...

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """Encodes items, those of `fit` or new ones, by the fitted codebooks: (I, E) -> (I, L), codes >= 0.

        Items that are encoded together may make room for each other.
        """
        ...
