"""The costs of building, keeping and asking the trie of ten million items."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from omegaconf import DictConfig

from promise.bench.measure import Measure, Measurement, interleaved
from promise.bench.worlds import CODES, LEVELS, catalogue, sizes
from promise.ids.trie import Trie

#: Nodes that are asked for at once: 64 users of 50 beams.
_NODES = 3200


def trie(cfg: DictConfig) -> Iterator[Measure]:
    """Seconds to build, bytes to keep, and milliseconds to list the children of a batch's beams at every depth."""
    level_sizes, device = (CODES,) * LEVELS, cfg.bench.device
    codes = catalogue(sizes(cfg).huge)
    built = Trie(codes, level_sizes).to(device)
    seconds = interleaved({"build": partial(Trie, codes, level_sizes)}, cfg.bench.repeats, warm_up=0)["build"]
    nodes = " > ".join(f"{count:,}" for count in built.nodes[1:])
    note = f"{len(codes):,} items; prefixes by depth {nodes}"
    yield seconds.measure("trie_build_seconds", "s", goal=60.0, note=note)
    size = sum(buffer.numel() * buffer.element_size() for buffer in built.buffers()) / 1e6
    yield Measure("trie_megabytes", "MB", size, goal=400.0, direction="at most", note=note, dtype="int64")
    for depth in range(LEVELS):
        asked = torch.from_numpy(np.random.default_rng(depth).integers(built.nodes[depth], size=_NODES)).to(device)
        timing = interleaved({"ask": partial(built.children_of, depth, asked)}, cfg.bench.repeats)["ask"]
        yield timing.measure(f"trie_children_depth_{depth}", "ms", note=f"{_NODES:,} nodes; {note}")


MEASURES: dict[str, Measurement] = {"trie": trie}
