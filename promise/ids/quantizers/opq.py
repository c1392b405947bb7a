"""OPQ: product quantization of rotated item embeddings, by faiss; every level codes a part of its own."""

import logging
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from promise.ids.quantizers.checks import check_count, checked_sizes, checked_vectors, require_room


class OPQ:
    """Optimized product quantization (Ge et al., CVPR 2013): a learned rotation, then k-means in each of L parts.

    The parts are parallel: a level codes other directions than the levels before it, not what these left over. The
    codewords, turned back, and with the mean in those of level 1, sum to about an embedding.

    Args:
        levels: L, number of parts, >= 1; embeddings are turned into L x ceil(E / L) numbers.
        codes: K, codes per level, a power of 2 up to 65,536, the same for all levels.
        iterations: rounds of rotation and k-means, >= 1.

    Attributes:
        level_sizes: (L,) K of each level.
        codebooks: after `fit`, L arrays (K, E).

    Raises:
        ValueError: an argument out of its range, or faiss is not installed.
    """

    def __init__(self, levels: int, codes: int, iterations: int) -> None:
        if find_spec("faiss") is None:
            raise ValueError("ids=opq needs faiss: pip install -e '.[opq]'")
        if isinstance(codes, Sequence) or codes not in [2**bits for bits in range(1, 17)]:
            raise ValueError(f"ids.codes must be a power of 2 up to 65536 for ids=opq, got {codes}")
        check_count("ids.iterations", iterations)
        self.level_sizes = checked_sizes(levels, codes)
        self.codebooks: list[NDArray[np.float32]] = []
        self._iterations = iterations

    def fit(self, vectors: NDArray[np.float32], seed: int) -> None:
        """Learns rotation and codebooks. The same seed and vectors give the same ones.

        Args:
            vectors: (I, E) finite numbers, one row per item.
            seed: >= 0.

        Raises:
            ValueError: no (I, E) table, a row that holds NaN or infinity, or fewer items than codes.
        """
        logging.getLogger("faiss.loader").setLevel(logging.WARNING)  # it tells of every build that is not there
        import faiss

        table = checked_vectors(vectors)
        require_room(len(table), self.level_sizes)
        levels, codes, dim = len(self.level_sizes), self.level_sizes[0], table.shape[1]
        part = -(-dim // levels)  # numbers of a part
        trial, self._quantizer = (faiss.ProductQuantizer(levels * part, levels, codes.bit_length() - 1) for _ in "12")
        for quantizer in (trial, self._quantizer):
            quantizer.cp.seed = seed % 2**31
            quantizer.cp.min_points_per_centroid = 1  # fewer than its 39 would be told on stderr, again and again
        turning = faiss.OPQMatrix(dim, levels, levels * part)
        turning.pq, turning.niter = trial, self._iterations
        self._mean = table.mean(axis=0, dtype=np.float64).astype(np.float32)
        turning.train(table - self._mean)
        self._rotation = faiss.vector_to_array(turning.A).reshape(levels, part, dim)
        self._quantizer.train(self._turned(table))
        centroids = faiss.vector_to_array(self._quantizer.centroids).reshape(levels, codes, part)
        self.codebooks = list(centroids @ self._rotation)
        self.codebooks[0] += self._mean

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """The nearest codeword of each part: (I, E), checked as by `fit`, -> (I, L)."""
        import faiss

        packed = self._quantizer.compute_codes(self._turned(checked_vectors(vectors)))
        return faiss.unpack_bitstrings(packed, self._quantizer.M, self._quantizer.nbits).astype(np.int32)

    def _turned(self, table: NDArray[np.float32]) -> NDArray[np.float32]:
        """Centred and rotated, part by part: (I, E) -> (I, L * part)."""
        return np.ascontiguousarray((table - self._mean) @ self._rotation.reshape(-1, table.shape[1]).T)
