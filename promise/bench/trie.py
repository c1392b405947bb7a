"""What the trie of ten million items costs to build, to keep and to ask, beside sorted 64-bit paths."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor

from promise.bench.measure import Measure, Measurement, interleaved
from promise.bench.worlds import CODES, LEVELS, catalogue, sizes
from promise.ids.trie import Trie

#: Nodes that are asked for at once: 64 users of 50 beams.
_NODES = 3200


class PackedPaths:
    """All paths as sorted 64-bit numbers, 8 bytes an item; what begins with a prefix is one range of them.

    Args:
        codes: Semantic IDs (I, L).
        level_sizes: K of each level; their product must lie below 2**63.
        device: Where they lie.
    """

    def __init__(self, codes: NDArray[np.int32], level_sizes: Sequence[int], device: str = "cpu") -> None:
        self.level_sizes = tuple(level_sizes)
        self.paths = torch.from_numpy(np.sort(packed(codes, level_sizes))).to(device)

    def allowed(self, depth: int, prefixes: Tensor) -> Tensor:
        """Which codes may follow: (n,) packed prefixes of a depth -> (n, K) bool; a binary search per code."""
        size, below = self.level_sizes[depth], math.prod(self.level_sizes[depth + 1 :])
        codes = torch.arange(size + 1, device=prefixes.device)
        edges = (prefixes[:, None] * size + codes) * below  # where each code's paths begin
        return torch.searchsorted(self.paths, edges).diff() > 0


def packed(codes: NDArray[np.integer], level_sizes: Sequence[int]) -> NDArray[np.int64]:
    """Prefixes (n, T) as one number each (n,), in lexicographic order.

    >>> packed(np.array([[0, 3], [2, 1]]), (4, 5))
    array([ 3, 11])
    """
    numbers = np.zeros(len(codes), dtype=np.int64)
    for column, size in zip(codes.T, level_sizes, strict=False):
        numbers = numbers * size + column
    return numbers


def scattered(items: int) -> NDArray[np.int32]:
    """Semantic IDs (about `items`, L) drawn evenly from all paths: hardly a prefix below the second level is shared."""
    paths = np.unique(np.random.default_rng(0).integers(CODES**LEVELS, size=items))
    return np.stack(np.unravel_index(paths, (CODES,) * LEVELS), axis=1).astype(np.int32)


def build(cfg: DictConfig) -> Iterator[Measure]:
    """Seconds to build and bytes to keep, for paths that share prefixes and for paths that hardly do."""
    items, level_sizes = sizes(cfg).huge, (CODES,) * LEVELS
    for suffix, codes in (("", catalogue(items)), ("_scattered", scattered(items))):
        trie, paths = Trie(codes, level_sizes), PackedPaths(codes, level_sizes)
        builders: dict[str, Callable[[], object]] = {
            "trie": partial(Trie, codes, level_sizes),
            "packed": partial(PackedPaths, codes, level_sizes),
        }
        timings = interleaved(builders, cfg.bench.repeats, warm_up=0)
        seconds = timings["trie"]
        nodes = " > ".join(f"{count:,}" for count in trie.nodes[1:])
        note = f"{len(codes):,} items; prefixes by depth {nodes}; beside packed, sorted 64-bit paths"
        yield Measure(
            f"trie_build_seconds{suffix}",
            "s",
            seconds.median,
            timings["packed"].median,
            goal=60.0,
            direction="at most",
            low=min(seconds.seconds),
            high=max(seconds.seconds),
            note=note,
            dtype="int64",
        )
        yield Measure(
            f"trie_megabytes{suffix}",
            "MB",
            sum(buffer.numel() * buffer.element_size() for buffer in trie.buffers()) / 1e6,
            paths.paths.numel() * paths.paths.element_size() / 1e6,
            goal=400.0,
            direction="at most",
            note=note,
            dtype="int64",
        )


def lookup(cfg: DictConfig) -> Iterator[Measure]:
    """Milliseconds to list the children of as many nodes as a batch of searches holds, at every depth."""
    level_sizes, device = (CODES,) * LEVELS, cfg.bench.device
    codes = catalogue(sizes(cfg).huge)
    trie, paths = Trie(codes, level_sizes).to(device), PackedPaths(codes, level_sizes, device)
    for depth in range(LEVELS):
        nodes = torch.from_numpy(np.random.default_rng(depth).integers(trie.nodes[depth], size=_NODES)).to(device)
        prefixes = torch.from_numpy(packed(trie.prefixes(depth)[nodes].cpu().numpy(), level_sizes)).to(device)
        timings = interleaved(
            {"ours": partial(trie.children_of, depth, nodes), "theirs": partial(paths.allowed, depth, prefixes)},
            cfg.bench.repeats,
        )
        yield Measure(
            f"trie_children_depth_{depth}",
            "ms",
            1e3 * timings["ours"].median,
            1e3 * timings["theirs"].median,
            note=f"{_NODES:,} nodes of {trie.nodes[depth]:,}, {trie.items:,} items; beside packed, sorted 64-bit paths",
            dtype="int64",
            **timings["theirs"].over(timings["ours"]),
        )


MEASURES: dict[str, Measurement] = {"trie_build": build, "trie_lookup": lookup}
