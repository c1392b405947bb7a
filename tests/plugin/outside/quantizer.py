"""A quantizer from outside: equal sectors of the plane, then rings."""

import numpy as np
from numpy.typing import NDArray


class Sectors:
    """The angle of an item, cut into sectors, and each sector into parts.

    Args:
        sectors: Codes of the first level.
        parts: Codes of the second level.
    """

    def __init__(self, sectors: int, parts: int) -> None:
        self.level_sizes = (sectors, parts)
        self.codebooks: list[NDArray[np.float32]] = []

    def fit(self, vectors: NDArray[np.float32], seed: int) -> None:
        """Learns the mean place of every code."""
        found, rest = self.encode(vectors), vectors
        self.codebooks = []
        for level, size in enumerate(self.level_sizes):
            codes = found[:, level]
            means = np.stack(
                [rest[codes == code].mean(0) if (codes == code).any() else rest[0] for code in range(size)]
            )
            self.codebooks.append(means)
            rest = rest - means[codes]

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """Codes (I, 2) of items (I, 2)."""
        turns = np.arctan2(vectors[:, 1], vectors[:, 0]) / (2 * np.pi) % 1 * self.level_sizes[0]
        first = np.minimum(turns.astype(np.int32), self.level_sizes[0] - 1)
        second = np.minimum(((turns - first) * self.level_sizes[1]).astype(np.int32), self.level_sizes[1] - 1)
        return np.stack([first, second], 1)
