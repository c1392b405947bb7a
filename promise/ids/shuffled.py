"""ShuffledKMeans: the control of every quantiser, the same tree of IDs with the items dealt to it at random."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from promise.ids.residual_kmeans import Quantised, ResidualKMeans


class ShuffledKMeans(ResidualKMeans):
    """Residual k-means whose paths are given to the items in random order: what IDs are worth without a meaning.

    Args:
        levels: As `ResidualKMeans`, and so are the others.
        codes: K per level.
        iterations: Most Lloyd iterations per level.
        restarts: Draws of seeds per level.
    """

    def fit(self, embeddings: NDArray[np.float32], seed: int) -> Quantised:
        """As `ResidualKMeans.fit`, then a random permutation of the items; the same seed gives the same one."""
        found = super().fit(embeddings, seed)
        order = np.random.default_rng([seed, 1]).permutation(len(embeddings))
        return replace(found, codes=found.codes[order])
