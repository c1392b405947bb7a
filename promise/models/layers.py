"""Building blocks of both networks: attention whose keys and values are projected once, feed-forward, blocks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KeyValue = tuple[Tensor, Tensor]


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
        mixed = F.scaled_dot_product_attention(self.split(self.query(x)), *memory, attn_mask=mask, is_causal=causal)
        return self.out(mixed.transpose(1, 2).flatten(2))  # (B, heads, Q, d) -> (B, Q, D)

    def step(self, x: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """One query per row against that row's own few keys (the codes chosen so far).

        Written as products and sums: at T <= L keys a batched matrix product is all overhead.

        Args:
            x: Queries (B, W, D).
            key: (B, W, T, D), unsplit.
            value: (B, W, T, D), unsplit.

        Returns:
            (B, W, D).
        """
        query = self.query(x).unflatten(-1, (self.heads, -1)).unsqueeze(2)  # (B, W, 1, heads, d)
        key = key.unflatten(-1, (self.heads, -1))  # (B, W, T, heads, d)
        value = value.unflatten(-1, (self.heads, -1))
        scores = (query * key).sum(-1) * query.shape[-1] ** -0.5  # (B, W, T, heads)
        weights = scores.softmax(dim=2).unsqueeze(-1)
        return self.out((weights * value).sum(2).flatten(2))


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
        self.norms = nn.ModuleList(nn.RMSNorm(dim) for _ in range(2))
        self.drop = nn.Dropout(dropout)

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
        self.norms = nn.ModuleList(nn.RMSNorm(dim) for _ in range(3))
        self.drop = nn.Dropout(dropout)

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

    def step(self, x: Tensor, cache: KeyValue | None, memory: KeyValue, mask: Tensor | None) -> tuple[Tensor, KeyValue]:
        """The newest code of W paths a user; the beams are query rows over one shared memory.

        Args:
            x: (B, W, D).
            cache: Self-attention keys and values of the codes before, each (B, W, T, D); None at the root.
            memory: Cross-attention keys and values of the user states.
            mask: (B, 1, 1, H), True at real history items; None = all are real.

        Returns:
            (B, W, D) and the cache with this code added.
        """
        h = self.norms[0](x)
        key, value = self.attention.key_value(h).unsqueeze(2).chunk(2, dim=-1)  # (B, W, 1, D)
        if cache is not None:
            key, value = torch.cat((cache[0], key), 2), torch.cat((cache[1], value), 2)
        x = x + self.attention.step(h, key, value)
        x = x + self.cross(self.norms[1](x), memory, mask)
        return x + self.feed_forward(self.norms[2](x)), (key, value)


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
