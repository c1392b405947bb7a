"""ShuffledKMeans: the same paths as residual k-means, on other items, the same ones for a seed."""

import numpy as np

from promise.ids.residual_kmeans import ResidualKMeans
from promise.ids.shuffled import ShuffledKMeans


def test_the_same_paths_on_other_items() -> None:
    points = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    dials = {"levels": 2, "codes": 8, "iterations": 5, "restarts": 1}
    plain, dealt, again, other = (
        kind(**dials).fit(points, seed)
        for kind, seed in ((ResidualKMeans, 3), (ShuffledKMeans, 3), (ShuffledKMeans, 3), (ShuffledKMeans, 4))
    )
    np.testing.assert_array_equal(dealt.codes, again.codes)
    assert (dealt.codes != other.codes).any()
    assert sorted(map(tuple, dealt.codes)) == sorted(map(tuple, plain.codes))
    # of 64 paths, an item meets its own again about once in 64 times
    assert np.mean((dealt.codes == plain.codes).all(1)) < 0.1
    assert dealt.level_sizes == plain.level_sizes
