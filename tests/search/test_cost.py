"""Costs add up, are told per user, and are what torch counts on the same call."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from promise.ids.trie import Trie
from promise.search.guided import GuidedSearch
from promise.search.protocols import UserRows
from tests.search.strategies import NetworkWorld, networks


def count_attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


@pytest.mark.parametrize("kind", ["dot", "cross_attention"])
@pytest.mark.parametrize(("items", "within"), [(4096, 0.01), (600, 0.02)])
def test_the_formula_is_what_torch_counts(kind: str, items: int, within: float) -> None:
    """Histories of equal length; torch misses the self-attention over few codes, which is written as sums.

    Of 600 items many have a prefix of their own, so that users differ in the beams that are decoded: torch counts the
    attention of the rows with which the others are filled up, too. So it does the paths with which those that are
    judged are filled up, which are added here.
    """
    sizes = (16, 32, 8)
    codes = np.stack(np.unravel_index(np.random.default_rng(0).permutation(4096)[:items], sizes), 1)
    trie = Trie(codes, sizes)
    dials = {"dim": 64, "history": 20, "counted": False}  # sums are no FLOPs
    generator, reward = networks(trie, torch.from_numpy(codes), kind, 0, **dials)
    batch = UserRows(torch.arange(60).view(3, 20), torch.full((3,), 20))
    world = NetworkWorld(codes, sizes, batch, generator, reward)
    mapping = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: count_attention}
    for search in (
        world.guided(10),
        world.guided(10, expansion=4, weight=1.0),
        world.guided(10, expansion=4, weight=0.5, rerank=True),
        world.exhaustive(0.0),
        world.exhaustive(0.5),
        world.exhaustive(1.0),
    ):
        search.rank(batch, 10)  # path vectors are computed once and not counted
        with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
            cost = search.rank(batch, 10).cost
        absent = 0
        if isinstance(search, GuidedSearch):
            search.observer = (steps := []).append
            search.rank(batch, 10)
            absent = sum(step.nodes.numel() - int(step.judged.sum()) for step in steps if step.rewards is not None)
        assert cost.flops + reward.flops.score([20], absent) == pytest.approx(counter.get_total_flops(), rel=within)
