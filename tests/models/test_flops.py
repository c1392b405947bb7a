"""The closed formulas against torch's own count of the operations that are really run."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from promise.models.generator import Generator
from promise.models.reward import CrossAttentionReward, DotReward

USERS, HISTORY, DIM, SIZES = 3, 11, 64, (32, 48, 16)
EQUAL = [HISTORY] * USERS


def attention_flops(query, key, value, *_: Any, **__: Any) -> int:
    """This CPU kernel is not in torch's own list."""
    return sdpa_flop_count(query, key, value)


@torch.no_grad()
def counted(run: Callable[[], Any]) -> tuple[int, Any]:
    """FLOPs that torch counts, and what the call returned."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with FlopCounterMode(display=False, custom_mapping={kernel: attention_flops}) as counter:
        result = run()
    return counter.get_total_flops(), result


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(size, (40,), generator=random) for size in SIZES], 1)


def generator(codes: torch.Tensor, **changes: Any) -> Generator:
    settings = {"dim": DIM, "encoder_layers": 3, "decoder_layers": 2, "heads": 4, "dropout": 0.1, "history": HISTORY}
    settings |= {"attention": "causal", "item_vectors": True, "content": False, "codes": codes, "level_sizes": SIZES}
    return Generator(**{**settings, **changes}).eval().requires_grad_(False)


@pytest.mark.parametrize("changes", [{}, {"attention": "bidirectional"}, {"content": True}])
def test_the_encoder(codes, changes):
    network = generator(codes, **changes, content_vectors=torch.randn(40, 24))
    history, lengths = torch.randint(40, (USERS, HISTORY)), torch.tensor(EQUAL)
    count, _ = counted(lambda: network.encode(history, lengths))
    assert count == pytest.approx(network.flops.encode(EQUAL), rel=0.02)


@pytest.mark.parametrize(("rows", "user_state"), [(1, True), (6, True), (1, False)])
def test_the_decoder(codes, rows, user_state):
    network = generator(codes, user_state=user_state)
    users = network.encode(torch.randint(40, (USERS, HISTORY)), torch.tensor(EQUAL))
    begin, cache = counted(lambda: network.start(users))
    first, (_, cache) = counted(lambda: network.next_code(cache, None, None))  # BOS is projected here, once a user
    formula = network.flops.start(EQUAL) + network.flops.next_code(EQUAL, 1, 0)
    assert begin + first == pytest.approx(formula, rel=0.005)
    parents = torch.zeros(USERS, rows, dtype=torch.int64)
    for level in (1, 2):
        step, (_, cache) = counted(lambda c=cache, p=parents: network.next_code(c, p, torch.zeros_like(p)))
        assert step == pytest.approx(network.flops.next_code(EQUAL, rows, level), rel=0.02)


def states() -> Any:
    network = generator(torch.randint(16, (40, 3)))
    return network.encode(torch.randint(40, (USERS, HISTORY)), torch.tensor(EQUAL))


@pytest.mark.parametrize("kind", ["dot", "cross_attention"])
def test_the_rewards(kind):
    shared = {"user_dim": DIM, "prefixes": [torch.arange(32).unsqueeze(1)], "level_sizes": (32,)}
    if kind == "dot":
        network = DotReward(48, "full", 12.0, 0.1, False, **shared).eval()
    else:
        network = CrossAttentionReward(32, 2, 2, "full", 0.1, False, **shared).eval()
    users = states()
    begin, context = counted(lambda: network.start(users))
    assert begin == pytest.approx(network.flops.start(EQUAL), rel=0.02)
    nodes = torch.randint(32, (USERS, 9))
    score, _ = counted(lambda: network.score(context, 1, nodes))
    assert score == pytest.approx(network.flops.score(EQUAL, 9), rel=0.02)


def test_users_add_up_and_only_real_items_count(codes):
    flops = generator(codes).flops
    for count in (flops.encode, flops.start, lambda h: flops.next_code(h, 5, 1)):
        assert count([4, 9]) == count([4]) + count([9])
        assert count([4]) < count([9])
