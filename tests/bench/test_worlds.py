"""Catalogues, networks and users of the measurements."""

import numpy as np
import pytest

from promise.bench import worlds
from promise.ids.trie import Trie


@pytest.mark.parametrize("items", [1, 2, 7, 60, 1000, 12_101])
def test_ids_are_unique_and_every_prefix_branches_where_it_can(items: int) -> None:
    codes = worlds.catalogue(items)
    assert codes.shape == (items, 4) and len(np.unique(codes, axis=0)) == items
    assert codes.min() >= 0 and codes.max() < 256
    trie = Trie(codes, (256,) * 4)
    if items >= 60:
        assert all(int(trie.child_counts(depth).min()) >= 2 for depth in range(4))
    assert max(trie.nodes[1], 1) == max(1, min(256, items // 8))


@pytest.mark.parametrize("items", [0, 82])
def test_more_items_than_paths(items: int) -> None:
    with pytest.raises(ValueError, match=rf"items must lie in 1 \.\. 81, got {items}"):
        worlds.catalogue(items, levels=4, codes=3)
