"""The measurements of a search beside its peers run, and say what they compared."""

import pytest
from omegaconf import DictConfig

from promise.bench import search
from promise.bench.worlds import sizes, world


def test_a_peer_whose_answers_are_no_items_is_not_measured(quick: DictConfig) -> None:
    s = sizes(quick)
    ours = world(s.items, s.history, s.network)
    paths = ours.trie.prefixes(4)[:6].view(2, 3, 4)
    search.check_legal(ours, paths, "peer")
    for wrong in (paths[:, [0, 0, 1]], (paths + 1) % 256):
        with pytest.raises(RuntimeError, match=r"^peer: the peer's answers are not all distinct items$"):
            search.check_legal(ours, wrong, "peer")
