"""The trie of the benchmark: its size is that of its buffers, and every depth is asked."""

from omegaconf import DictConfig

from promise.bench import trie
from promise.bench.worlds import catalogue
from promise.ids.trie import Trie


def test_building_and_asking(quick: DictConfig) -> None:
    found = {measure.name: measure for measure in trie.trie(quick)}
    seconds, size = found["trie_build_seconds"], found["trie_megabytes"]
    assert (seconds.goal, seconds.direction, seconds.verdict) == (60.0, "at most", "met")
    buffers = Trie(catalogue(600), (256,) * 4).buffers()
    assert size.ours == sum(buffer.numel() * buffer.element_size() for buffer in buffers) / 1e6
    assert size.verdict == "met" and "600 items" in size.note
    asked = [found[f"trie_children_depth_{depth}"] for depth in range(4)]
    assert all(measure.ours and measure.low and measure.goal is None for measure in asked)
