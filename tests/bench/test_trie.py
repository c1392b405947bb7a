"""The trie of the benchmark: packed paths answer as the trie does, and every row is there."""

import numpy as np
import pytest
import torch
from omegaconf import DictConfig

from promise.bench import trie
from promise.bench.worlds import catalogue
from promise.ids.trie import Trie


def test_packed_numbers_are_in_the_order_of_the_paths() -> None:
    codes = np.array([[0, 3, 1], [2, 1, 0], [2, 0, 1]])
    assert trie.packed(codes, (3, 4, 2)).tolist() == [7, 18, 17]
    assert trie.packed(codes[:, :2], (3, 4, 2)).tolist() == [3, 9, 8]
    assert trie.packed(codes[:, :0], (3, 4, 2)).tolist() == [0, 0, 0]
    assert trie.packed(np.full((1, 4), 255, dtype=np.int32), (256,) * 4).tolist() == [2**32 - 1]


def test_packed_paths_allow_what_the_trie_allows() -> None:
    random = np.random.default_rng(0)
    level_sizes = (5, 3, 7)
    codes = np.unique(random.integers(0, level_sizes, size=(60, 3)), axis=0).astype(np.int32)
    tree, paths = Trie(codes, level_sizes), trie.PackedPaths(random.permutation(codes), level_sizes)
    assert len(paths.paths) == len(codes) and paths.paths.dtype == torch.int64
    for depth in range(3):
        nodes = torch.arange(tree.nodes[depth])
        prefixes = torch.from_numpy(trie.packed(tree.prefixes(depth).numpy(), level_sizes))
        assert torch.equal(paths.allowed(depth, prefixes), tree.allowed(depth, nodes))


def test_scattered_paths_are_distinct_and_share_little() -> None:
    codes = trie.scattered(5000)
    assert codes.dtype == np.int32 and codes.min() >= 0 and codes.max() <= 255
    assert 4990 <= len(np.unique(codes, axis=0)) == len(codes) <= 5000
    assert Trie(codes, (256,) * 4).nodes[2] > 2 * Trie(catalogue(5000), (256,) * 4).nodes[2]


def test_building(quick: DictConfig) -> None:
    found = {measure.name: measure for measure in trie.MEASURES["trie_build"](quick)}
    for suffix in ("", "_scattered"):
        seconds, size = found[f"trie_build_seconds{suffix}"], found[f"trie_megabytes{suffix}"]
        assert (seconds.goal, seconds.direction, seconds.met) == (60.0, "at most", True)
        assert (size.goal, size.direction, size.met) == (400.0, "at most", True)
        assert size.theirs == pytest.approx(600 * 8 / 1e6, rel=0.01) and "600 items" in size.note
    buffers = Trie(catalogue(600), (256,) * 4).buffers()
    assert found["trie_megabytes"].ours == sum(buffer.numel() * buffer.element_size() for buffer in buffers) / 1e6


def test_lookups(quick: DictConfig) -> None:
    found = list(trie.MEASURES["trie_lookup"](quick))
    assert [measure.name for measure in found] == [f"trie_children_depth_{depth}" for depth in range(4)]
    assert all(measure.ours and measure.theirs and measure.ratio and measure.goal is None for measure in found)
