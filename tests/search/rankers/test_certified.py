"""The certified search is the ranking of every item, says when it is not, and stays within its budget."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from promise.search.rankers.certified import CertifiedSearch
from tests.search.strategies import repeatable, restrictions, worlds
from tests.search.worlds import World


def certified(world: World, width: int, budget: int = 10**6, **lists: Any) -> CertifiedSearch:
    return CertifiedSearch(width, budget, generator=world.generator, trie=world.trie, **lists)


@settings(repeatable, max_examples=100)
@given(worlds(most=60), st.integers(1, 12), st.integers(1, 12), st.data())
def test_it_is_the_exact_ranking(world: World, width: int, k: int, data: st.DataObject) -> None:
    always, _ = data.draw(restrictions(world))
    exact = world.exhaustive(0.0, **always).rank(world.batch, min(width, k))
    found = certified(world, width, **always).rank(world.batch, k)
    assert found.certified is not None and found.certified.all()
    torch.testing.assert_close(found.scores, exact.scores, rtol=1e-4, atol=1e-4)
    swapped = (found.items != exact.items).nonzero().tolist()
    for user, place in swapped:  # rounding decided between equals
        assert (exact.scores[user] - exact.scores[user, place]).abs().sort().values[1] < 1e-4


@settings(repeatable, max_examples=60)
@given(worlds(most=60), st.integers(1, 4), st.integers(1, 9), st.booleans())
def test_a_budget_is_kept_and_whoever_needs_more_gets_the_beams(world, width, budget, remove_seen):
    search = certified(world, width, budget, remove_seen=remove_seen)
    beams = world.guided(width, remove_seen=remove_seen).rank(world.batch, width)
    exact = certified(world, width, remove_seen=remove_seen).rank(world.batch, width)
    found = search.rank(world.batch, width)
    assert found.certified is not None
    assert found.cost.decoder_tokens <= beams.cost.decoder_tokens + budget * len(world.batch.lengths)
    for user, certain in enumerate(found.certified.tolist()):
        expected = (exact if certain else beams).scores[user]
        there = found.scores[user][: len(expected)]
        torch.testing.assert_close(there, expected[: len(there)], rtol=1e-4, atol=1e-4)
        items = [item for item in found.items[user].tolist() if item >= 0]
        assert len(set(items)) == len(items) and not (remove_seen and set(items) & set(world.past(user)))


def test_the_drawn_world(drawn: Any) -> None:
    """A beam of one takes code 0 and ends at A, .33; the bound of .33 lets code 1, .4, in, below which is C, .36."""
    found = certified(drawn, 1).rank(drawn.batch, 3)
    assert (found.items.tolist(), found.certified.tolist()) == ([[2]], [True])
    # Two tokens of the beam search, then the root and both codes; encode 100, start 20, levels 1,000 and 2,000 a token.
    assert (found.cost.users, found.cost.decoder_tokens, found.cost.prm_paths) == (1, 5, 0)
    assert found.cost.flops == 2 * (100 + 10) + 2 * 1000 + 3 * 2000
    short = certified(drawn, 1, budget=2).rank(drawn.batch, 3)
    assert (short.items.tolist(), short.certified.tolist(), short.cost.decoder_tokens) == ([[0]], [False], 3)
    with pytest.raises(ValueError, match=r"^search\.budget must be an integer >= 1, got 0$"):
        certified(drawn, 1, budget=0)
