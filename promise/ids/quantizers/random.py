"""RandomCodes: the control of every quantizer, the same tree of IDs with the items dealt to it at random."""

import numpy as np
from numpy.typing import NDArray

from promise.ids.quantizers.residual_kmeans import ResidualKMeans


class RandomCodes(ResidualKMeans):
    """Residual k-means whose paths are dealt to the items in random order, a control: IDs without a meaning.

    Args:
        levels: as `ResidualKMeans`, and so are the others.
        codes: codes per level.
        iterations: most Lloyd iterations per level.
        restarts: draws of seeds per level.
        refits: rounds that fit all levels at once.
        balance: "none" or "last_level".
    """

    def fit(self, vectors: NDArray[np.float32], seed: int) -> None:
        """As `ResidualKMeans.fit`; the seed also decides who gets which path."""
        super().fit(vectors, seed)
        self._seed = seed

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """The codes of `ResidualKMeans.encode`, dealt to other items: (I, E) -> (I, L)."""
        order = np.random.default_rng([self._seed, 1]).permutation(len(vectors))
        return super().encode(vectors)[order]
