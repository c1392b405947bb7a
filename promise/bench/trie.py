"""The costs of building and keeping the trie of ten million items."""

from collections.abc import Iterator
from functools import partial

from omegaconf import DictConfig

from promise.bench.measure import Measure, Measurement, interleaved
from promise.bench.worlds import CODES, LEVELS, catalogue, sizes
from promise.ids.trie import Trie


def trie(cfg: DictConfig) -> Iterator[Measure]:
    """Seconds to build, and bytes to keep."""
    level_sizes, device = (CODES,) * LEVELS, cfg.bench.device
    codes = catalogue(sizes(cfg).huge)
    built = Trie(codes, level_sizes).to(device)
    seconds = interleaved({"build": partial(Trie, codes, level_sizes)}, cfg.bench.repeats, warm_up=0)["build"]
    nodes = " > ".join(f"{count:,}" for count in built.nodes[1:])
    note = f"{len(codes):,} items; prefixes by depth {nodes}"
    yield seconds.measure("trie_build_seconds", 60.0, note)
    size = sum(buffer.numel() * buffer.element_size() for buffer in built.buffers()) / 1e6
    yield Measure("trie_megabytes", "MB", size, goal=400.0, direction="at most", note=note, dtype="int64")


MEASURES: dict[str, Measurement] = {"trie": trie}
