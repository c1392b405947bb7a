"""Costs add up, are told per user, and are what torch counts on the same call."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.reward import CrossAttentionReward, DotReward
from promise.search.cost import Cost
from promise.search.exhaustive import ExhaustiveSearch
from promise.search.guided import GuidedSearch


def test_costs_add_up() -> None:
    total = Cost(1, 10, 3, 4, 0.5) + Cost(2, 20, 5, 6, 0.25)
    assert total == Cost(3, 30, 8, 10, 0.75)
    assert sum([total, total], Cost()) == Cost(6, 60, 16, 20, 1.5)


def test_cost_per_user() -> None:
    assert Cost(4, 10, 8, 6, 2.0).per_user() == {
        "flops_per_user": 2.5,
        "decoder_tokens_per_user": 2.0,
        "prm_paths_per_user": 1.5,
        "seconds": 2.0,
    }


def test_no_user_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^a cost per user needs at least one user, got 0$"):
        Cost().per_user()


def count_attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


@pytest.mark.parametrize("judge", ["dot", "cross_attention"])
@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_the_formula_is_what_torch_counts(drawn: Any, attention: str, judge: str) -> None:
    """Histories of equal length; torch misses the self-attention over few codes, which is written as sums."""
    sizes, dim = (16, 32, 8), 64
    every = np.stack(np.unravel_index(np.random.default_rng(0).permutation(16 * 32 * 8)[:600], sizes), 1)
    trie = Trie(every, sizes)
    codes = torch.from_numpy(every)
    generator = Generator(dim, 2, 2, 2, 0.0, 20, attention, True, False, codes=codes, level_sizes=sizes).eval()
    given: dict[str, Any] = {
        "user_dim": dim,
        "prefixes": [trie.prefixes(depth) for depth in (1, 2, 3)],
        "level_sizes": sizes,
    }
    reward = (
        DotReward(dim, "full", 12.0, 0.0, False, **given)
        if judge == "dot"
        else CrossAttentionReward(None, None, 1, "full", 0.0, False, **given)
    ).eval()
    batch = type(drawn.batch)(torch.arange(60).view(3, 20), torch.full((3,), 20))
    networks: dict[str, Any] = {"generator": generator, "reward": reward, "trie": trie}
    mapping = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: count_attention}
    for search in (
        GuidedSearch(10, 1, None, 0.0, 1.0, False, "none", **networks),
        GuidedSearch(10, 4, None, 1.0, 1.0, False, "none", **networks),
        GuidedSearch(10, 4, None, 0.5, 1.0, True, "none", **networks),
        ExhaustiveSearch(0.0, 1.0, **networks),
        ExhaustiveSearch(0.5, 1.0, **networks),
        ExhaustiveSearch(1.0, 1.0, **networks),
    ):
        search.rank(batch, 10)  # path vectors are computed once and not counted
        with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
            cost = search.rank(batch, 10).cost
        assert cost.flops == pytest.approx(counter.get_total_flops(), rel=0.01)
