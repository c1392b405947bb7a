"""The same search in bfloat16, in parts and compiled: the same answers, or very nearly."""

from typing import Any

import numpy as np
import pytest
import torch

from promise.ids.trie import Trie
from promise.search.protocols import UserRows
from tests.search.strategies import NetworkWorld, networks

SIZES, ITEMS, USERS, HISTORY = (32, 16, 8), 2000, 100, 10


def medium(kind: str, **changes: Any) -> NetworkWorld:
    """2,000 items and a hundred users."""
    rng = np.random.default_rng(0)
    codes = np.stack(np.unravel_index(rng.permutation(np.prod(SIZES))[:ITEMS], SIZES), 1)
    generator, reward = networks(Trie(codes, SIZES), torch.from_numpy(codes), kind, 0, history=HISTORY, **changes)
    history = torch.from_numpy(rng.integers(ITEMS, size=(USERS, HISTORY)))
    lengths = torch.from_numpy(rng.integers(1, HISTORY + 1, size=USERS))
    return NetworkWorld(codes, SIZES, UserRows(history, lengths), generator, reward)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("kind", "dim"), [("dot", 64), ("cross_attention", 16)])
def test_bfloat16_finds_nearly_the_same_items(kind: str, dim: int, weight: float) -> None:
    world = medium(kind, dim=dim)
    search = world.guided(50, expansion=4, weight=weight)
    exact = search.rank(world.batch, 50)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = search.rank(world.batch, 50)
    assert rounded.scores.dtype == torch.float32
    pairs = zip(exact.items.tolist(), rounded.items.tolist(), strict=True)
    overlap = np.mean([len(set(a) & set(b)) / 50 for a, b in pairs])
    assert 0.95 <= overlap < 1  # the second: it really was another precision


@pytest.mark.parametrize("kind", ["dot", "cross_attention"])
def test_little_memory_changes_nothing(kind: str) -> None:
    everyone = medium(kind, counted=False)
    world = everyone.with_batch(
        everyone.batch.history[:20], everyone.batch.lengths[:20]
    )  # with counts two paths of this world differ by rounding alone
    whole = world.guided(50, expansion=4, weight=0.5).rank(world.batch, 50)
    for max_bytes in (1, 2**19):
        search = world.guided(50, expansion=4, weight=0.5, max_bytes=max_bytes)
        assert search.users_at_once < 20
        parts = search.rank(world.batch, 50)
        assert torch.equal(parts.items, whole.items)
        torch.testing.assert_close(parts.scores, whole.scores, rtol=1e-4, atol=1e-4)
        assert parts.cost.flops == whole.cost.flops
        assert all(torch.equal(a, b) for a, b in zip(parts.kept, whole.kept, strict=True))


def test_the_graph_that_torch_compiles_is_eager() -> None:
    """The step after the root, the first one with a cache: every later one differs in its lengths alone."""
    world = medium("dot", decoder_layers=1)
    generator, batch = world.generator, world.batch
    compiled = torch.compile(generator.next_code, backend="eager")  # machine code takes 40 s and says no more
    with torch.inference_mode():
        root = torch.zeros(USERS, 1, dtype=torch.int64)
        _, cache = generator.next_code(generator.start(generator.encode(*batch)), root, root)
        codes = torch.arange(20).expand(USERS, -1)
        eager, after = generator.next_code(cache, torch.zeros_like(codes), codes)
        fast, later = compiled(cache, torch.zeros_like(codes), codes)
        torch.testing.assert_close(fast, eager, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(later, after, rtol=1e-4, atol=1e-4)
