"""Building blocks of both networks: attention whose keys and values are projected once, feed-forward, blocks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from promise.models.packed_beams import PackedBeams

KeyValue = tuple[Tensor, Tensor]

#: Items of a memory up to which plain products beat the fused attention of a CPU.
SHORT_MEMORY = 64


class Attention(nn.Module):
    """Multi-head attention that separates the projection of the memory from its use.

    Args:
        dim: Width D of queries and output.
        heads: Number of heads; divides `dim`.
        memory_dim: Width of the memory; null = `dim`.

    Raises:
        ValueError: If `dim` is not a multiple of `heads`.
    """

    def __init__(self, dim: int, heads: int, memory_dim: int | None = None) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise ValueError(f"dim must be a multiple of heads, got dim={dim} and heads={heads}")
        self.heads = heads
        self.head_scale = (dim // heads) ** -0.5
        self.query = nn.Linear(dim, dim, bias=False)
        self.key_value = nn.Linear(memory_dim or dim, 2 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def split(self, x: Tensor) -> Tensor:
        """(B, Q, D) -> (B, heads, Q, D / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def project(self, memory: Tensor) -> KeyValue:
        """Keys and values of a memory (B, H, memory_dim), each (B, heads, H, D / heads)."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        return self.split(key), self.split(value)

    def forward(self, x: Tensor, memory: KeyValue, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """Attend from x (B, Q, D) to projected keys and values.

        Args:
            x: Queries (B, Q, D).
            memory: Keys and values from `project`, each (B, heads, H, D / heads).
            mask: True where a query may look, broadcastable to (B, heads, Q, H); None = everywhere.
            causal: Query q sees keys 0..q only.

        Returns:
            (B, Q, D).
        """
        query = self.split(self.query(x))
        if query.is_cpu and memory[0].shape[2] <= SHORT_MEMORY and not causal and not torch.is_grad_enabled():
            mixed = attend(query, *memory, mask)
        else:
            mixed = fused(query, *memory, mask, causal)
        return self.out(mixed.transpose(1, 2).flatten(2))  # (B, heads, Q, d) -> (B, Q, D)

    def over_codes(self, x: Tensor, codes: Sequence[Tensor]) -> Tensor:
        """One query per path against that path's own few keys (the codes chosen so far).

        Written as products and sums: at T <= L keys a batched matrix product is all overhead.

        Args:
            x: Queries (N, D).
            codes: For each of the T codes keys and values side by side, each (N, 2 D).

        Returns:
            (N, D).
        """
        query = self.query(x).mul_(self.head_scale).unflatten(-1, (self.heads, -1))  # (N, heads, d)
        pairs = [code.unflatten(-1, (2, self.heads, -1)) for code in codes]  # (N, 2, heads, d)
        weights = torch.stack([(query * pair[:, 0]).sum(-1) for pair in pairs]).softmax(0).unbind(0)  # T of (N, heads)
        mixed = pairs[0][:, 1] * weights[0].unsqueeze(-1)
        for pair, weight in zip(pairs[1:], weights[1:], strict=True):
            mixed = mixed.addcmul_(pair[:, 1], weight.unsqueeze(-1))
        return self.out(mixed.flatten(1))


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention by two plain products: on a CPU faster than torch's fused kernel while the memory is short."""
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1).to(value.dtype) @ value


def fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """torch's fused attention; on a CPU in float32, as its backward pass takes up to twelve times as long in bf16."""
    if not query.is_cpu or query.dtype.itemsize >= 4:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    with torch.autocast("cpu", enabled=False):
        return fused(query.float(), key.float(), value.float(), mask, causal).to(query.dtype)


class RMSNorm(nn.RMSNorm):
    """Root-mean-square norm; on a CPU in fewer passes over the data than torch takes, forward and backward."""

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_cpu or self.weight is None:
            return super().forward(x)
        epsilon = torch.finfo(x.dtype).eps if self.eps is None else self.eps
        if torch.is_grad_enabled():
            return Normed.apply(x, self.weight, epsilon)
        return (x * inverse_root(x, epsilon)).mul_(self.weight)


class Normed(torch.autograd.Function):
    """x / √(mean x² + ε) times a weight, over the last dimension."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        scale = inverse_root(x, epsilon)
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        unit = x * scale
        of_weight = (slopes[0] * unit).flatten(0, -2).sum(0)
        of_x = slopes[0] * weight
        of_x.addcmul_(unit, (of_x * unit).mean(-1, keepdim=True), value=-1)
        return of_x.mul_(scale), of_weight, None


def inverse_root(x: Tensor, epsilon: float) -> Tensor:
    """1 / √(mean x² + ε) over the last dimension, which stays with size 1; in the type of x."""
    wide = torch.promote_types(x.dtype, torch.float32)
    squares = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide).square_()
    return squares.div_(x.shape[-1]).add_(epsilon).rsqrt_().to(x.dtype)


class Dropout(nn.Dropout):
    """Dropout that on a CPU draws one random byte per number, several times as fast as torch's own.

    The probability is rounded to a 256th.
    """

    def forward(self, x: Tensor) -> Tensor:
        dropped = round(256 * self.p)
        if not self.training or not x.is_cpu or not 0 < dropped < 256:
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)  # all 64 bits
        kept = (words.view(torch.uint8)[: x.numel()] >= dropped).view(x.shape)
        return x * (kept * (256 / (256 - dropped))).to(x.dtype)


class FeedForward(nn.Sequential):
    """D -> 4 D -> D with GELU."""

    def __init__(self, dim: int) -> None:
        super().__init__(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))


class EncoderBlock(nn.Module):
    """Pre-norm self-attention and feed-forward over a history (B, H, D)."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)
        self.feed_forward = FeedForward(dim)
        self.norms = nn.ModuleList(RMSNorm(dim) for _ in range(2))
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """x (B, H, D) -> (B, H, D)."""
        h = self.norms[0](x)
        x = x + self.drop(self.attention(h, self.attention.project(h), mask, causal))
        return x + self.drop(self.feed_forward(self.norms[1](x)))


class DecoderBlock(nn.Module):
    """Pre-norm self-attention over the codes so far, cross-attention to the user states, feed-forward."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)
        self.cross = Attention(dim, heads)
        self.feed_forward = FeedForward(dim)
        self.norms = nn.ModuleList(RMSNorm(dim) for _ in range(3))
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, memory: KeyValue, mask: Tensor) -> Tensor:
        """All codes of known paths at once.

        Args:
            x: (B, P, T, D), T code positions of P paths.
            memory: Cross-attention keys and values of the user states.
            mask: (B, 1, P * T, H), True where a path's target may look.

        Returns:
            (B, P, T, D).
        """
        paths, codes = x.shape[1:3]
        h = self.norms[0](x).flatten(0, 1)  # (B, P, T, D) -> (B*P, T, D)
        x = x + self.drop(self.attention(h, self.attention.project(h), causal=True)).unflatten(0, (-1, paths))
        h = self.norms[1](x).flatten(1, 2)  # (B, P, T, D) -> (B, P*T, D)
        x = x + self.drop(self.cross(h, memory, mask)).unflatten(1, (paths, codes))
        return x + self.drop(self.feed_forward(self.norms[2](x)))

    def step(
        self, x: Tensor, ancestors: Sequence[Tensor], memory: KeyValue, mask: Tensor | None, rows: PackedBeams
    ) -> tuple[Tensor, Tensor]:
        """The newest code of some paths; the paths of a user are query rows over one shared memory.

        Args:
            x: (N, D), one row per path.
            ancestors: Self-attention keys and values (N, 2 D) of each code before, in order.
            memory: Cross-attention keys and values of the user states.
            mask: (B, 1, 1, H), True at real history items; None = all are real.
            rows: Whose path each of the N rows is.

        Returns:
            (N, D) and this code's own keys and values (N, 2 D).
        """
        h = self.norms[0](x)
        own = self.attention.key_value(h)
        x = x + self.attention.over_codes(h, [*ancestors, own])
        x = x + rows.flat(self.cross(rows.by_user(self.norms[1](x)), memory, mask))
        return x + self.feed_forward(self.norms[2](x)), own


class RewardBlock(nn.Module):
    """Cross-attention from path tokens to the user states, RMSNorm, feed-forward, residuals (the paper's block)."""

    def __init__(self, dim: int, heads: int, dropout: float, user_dim: int) -> None:
        super().__init__()
        self.attention = Attention(dim, heads, memory_dim=user_dim)
        self.feed_forward = FeedForward(dim)
        self.norms = nn.ModuleList(RMSNorm(dim) for _ in range(2))
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, memory: KeyValue, mask: Tensor | None) -> Tensor:
        """Path tokens x (B, C, dim), which don't see each other -> (B, C, dim)."""
        x = x + self.drop(self.attention(self.norms[0](x), memory, mask))
        return x + self.drop(self.feed_forward(self.norms[1](x)))


def initialise(module: nn.Module) -> None:
    """Normal weights that keep the scale: deviation 1/√fan-in of a projection, 1/√D of a table; zero biases.

    Smaller tables would change by a tenth of themselves at every early step of AdamW, and rare items never recover.
    """
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=module.in_features**-0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
