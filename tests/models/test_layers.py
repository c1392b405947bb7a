"""Attention against the textbook, one query and one key at a time; blocks; initial weights."""

import math

import pytest
import torch
from torch import nn

from promise.models.layers import Attention, DecoderBlock, Dropout, EncoderBlock, RMSNorm, initialise
from promise.models.packed_beams import PackedBeams


def textbook(layer: Attention, x, memory, sees) -> torch.Tensor:
    """One batch row, one head and one query at a time; `sees(query, key)` says what may be looked at."""
    queries, (keys, values) = layer.query(x), layer.key_value(memory).chunk(2, -1)
    width = x.shape[-1] // layer.heads
    mixed = torch.zeros_like(x)
    for row in range(len(x)):
        for head in range(layer.heads):
            part = slice(head * width, (head + 1) * width)
            for q in range(x.shape[1]):
                open_to = [k for k in range(memory.shape[1]) if sees(row, q, k)]
                scores = [float(queries[row, q, part] @ keys[row, k, part]) / math.sqrt(width) for k in open_to]
                total = sum(math.exp(s) for s in scores)
                for k, score in zip(open_to, scores, strict=True):
                    mixed[row, q, part] += math.exp(score) / total * values[row, k, part]
    return layer.out(mixed)


@pytest.fixture
def layer() -> Attention:
    torch.manual_seed(0)
    return Attention(12, 3)


@torch.no_grad()
def test_attention_is_the_textbook_one(layer):
    x = torch.randn(2, 5, 12)
    memory = layer.project(x)
    assert torch.allclose(layer(x, memory), textbook(layer, x, x, lambda *_: True), atol=1e-6)
    assert torch.allclose(layer(x, memory, causal=True), textbook(layer, x, x, lambda _, q, k: k <= q), atol=1e-6)
    lengths = torch.tensor([5, 2])
    mask = (torch.arange(5) < lengths[:, None])[:, None, None, :]
    expected = textbook(layer, x, x, lambda row, _, k: k < lengths[row])
    assert torch.allclose(layer(x, memory, mask), expected, atol=1e-6)


@torch.no_grad()
def test_attention_reads_a_memory_of_another_width():
    torch.manual_seed(0)
    layer = Attention(8, 2, memory_dim=20)
    x, memory = torch.randn(3, 2, 8), torch.randn(3, 6, 20)
    assert torch.allclose(layer(x, layer.project(memory)), textbook(layer, x, memory, lambda *_: True), atol=1e-6)


@torch.no_grad()
def test_attention_over_a_paths_own_codes_is_the_newest_row_of_causal_attention(layer):
    codes = torch.randn(8, 3, 12)  # (N, T, D)
    whole = layer(codes, layer.project(codes), causal=True)
    pairs = layer.key_value(codes)
    for newest in range(3):
        step = layer.over_codes(codes[:, newest], [pairs[:, code] for code in range(newest + 1)])
        assert torch.allclose(step, whole[:, newest], atol=1e-6)


@torch.no_grad()
def test_a_decoder_block_gives_the_same_code_by_code():
    torch.manual_seed(0)
    block = DecoderBlock(12, 3, dropout=0.5).eval()
    x, states = torch.randn(2, 4, 3, 12), torch.randn(2, 6, 12)
    mask = (torch.arange(6) < torch.tensor([6, 2])[:, None])[:, None, None, :]
    memory = block.cross.project(states)
    whole = block(x, memory, mask.expand(2, 1, 4 * 3, 6)).flatten(0, 1)
    before: list[torch.Tensor] = []
    for code in range(3):
        step, own = block.step(x[:, :, code].flatten(0, 1), before, memory, mask, PackedBeams(2, 4, 4))
        before.append(own)
        assert torch.allclose(step, whole[:, code], atol=1e-5)


def test_the_norm_is_torchs_with_and_without_gradients():
    norm, theirs = RMSNorm(6), nn.RMSNorm(6)
    for each in (norm, theirs):
        nn.init.uniform_(each.weight, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, 4, 6)
    x[0, 0] = 0.0
    x.requires_grad_()
    slopes = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    found, expected = norm(x), theirs(x)
    assert torch.allclose(found, expected, atol=1e-6)
    for one, other in zip(
        torch.autograd.grad(found, (x, norm.weight), slopes),
        torch.autograd.grad(expected, (x, theirs.weight), slopes),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(norm(x), theirs(x), atol=1e-6)


def test_initial_weights_keep_the_scale_and_biases_are_zero():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(300, 25), nn.Linear(100, 300), nn.RMSNorm(50))
    network.apply(initialise)
    for layer, deviation in zip(network[:2], (0.2, 0.1), strict=True):
        assert layer.weight.std().item() == pytest.approx(deviation, rel=0.03)
        assert abs(layer.weight.mean().item()) < 0.01
    assert not network[1].bias.any()
    assert (network[2].weight == 1).all()


@pytest.mark.parametrize("dim, heads", [(10, 3), (10, 0)])
def test_heads_must_divide_the_width(dim, heads):
    with pytest.raises(ValueError, match=f"dim must be a multiple of heads, got dim={dim} and heads={heads}"):
        Attention(dim, heads)


@pytest.mark.parametrize("probability", [0.0, 0.001, 0.3, 0.999, 1.0])
def test_dropout_drops_as_often_as_it_says_and_keeps_the_mean(probability):
    torch.manual_seed(0)
    drop = Dropout(probability)
    x = torch.full((101, 333), 2.0, requires_grad=True)
    y = drop(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach() / 2)
    assert float((y == 0).float().mean()) == pytest.approx(probability, abs=0.01)
    kept = y[y != 0]
    assert (kept == kept[:1]).all() and (probability > 0.9 or y.mean().item() == pytest.approx(2, abs=0.1))
    columns = (y == 0).float().mean(0)  # no place is favoured: a byte of each word is as good as another
    assert float(columns.std()) < 0.06
    torch.manual_seed(0)
    assert torch.equal(drop(x), y)
    assert drop.eval()(x) is x
    half = Dropout(0.5)(torch.ones(64, dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16 and set(half.tolist()) == {0.0, 2.0}


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-4), (torch.bfloat16, 0.1)])
def test_blocks_train_in_every_precision(dtype: torch.dtype, near: float) -> None:
    torch.manual_seed(0)
    block = EncoderBlock(12, 3, dropout=0.0)
    x = torch.randn(2, 5, 12, requires_grad=True)
    (expected,) = torch.autograd.grad(block(x, None, True).square().sum(), x)
    (found,) = torch.autograd.grad(block.to(dtype)(x.to(dtype), None, True).square().sum(), x)
    assert (found - expected).norm() < near * expected.norm()
