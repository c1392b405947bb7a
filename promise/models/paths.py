"""Paths as vectors: one per valid prefix of any depth, for reward models to judge."""

from typing import Any

import torch
from torch import Tensor, nn


class PathTable(nn.Module):
    """One vector per valid prefix: the sum of its codes' vectors, plus a vector of its own, plus its items' content.

    Rare prefixes and new items share strength through their codes. The vectors are the reward model's own, never the
    decoder's. Outside training all vectors of a depth are computed once and kept until weights may have changed: the
    next call of `train` or `load_state_dict`, or a move to another device or type.

    Args:
        dim: Width of a path vector.
        prefix_table: `full` (a learned vector for each prefix) or `none` (codes only).
        prefixes: For each depth 1..L the valid prefixes in the trie's node order, (N_b, b) codes.
        level_sizes: K of each level.
        content: For each depth 1..L the mean embedding of the items below each prefix (N_b, E); None = left out.

    Raises:
        ValueError: On an unknown `prefix_table`.
    """

    def __init__(
        self,
        dim: int,
        prefix_table: str,
        *,
        prefixes: list[Tensor],
        level_sizes: tuple[int, ...],
        content: list[Tensor] | None = None,
    ) -> None:
        super().__init__()
        if prefix_table not in ("full", "none"):
            raise ValueError(f"reward.prefix_table must be full or none, got {prefix_table}")
        self.code_vectors = nn.ModuleList(nn.Embedding(size, dim) for size in level_sizes)
        self.own_vectors = (
            nn.ModuleList(nn.Embedding(len(p), dim) for p in prefixes) if prefix_table == "full" else None
        )
        for depth, codes in enumerate(prefixes):
            self.register_buffer(f"prefixes_{depth}", codes.int(), persistent=False)
        self.projection = nn.Linear(content[0].shape[1], dim, bias=False) if content else None
        for depth, vectors in enumerate(content or []):
            self.register_buffer(f"content_{depth}", vectors, persistent=False)
        self.sizes = tuple(len(p) for p in prefixes)
        self.kept: dict[int, Tensor] = {}

    def train(self, mode: bool = True) -> "PathTable":
        """Switch the mode and forget the kept vectors: weights may change from here on."""
        self.kept = {}
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> "PathTable":
        self.kept = {}  # another device or type
        return super()._apply(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.kept = {}  # other weights
        super()._load_from_state_dict(*args, **kwargs)

    def forward(self, depth: int, nodes: Tensor) -> Tensor:
        """Vectors (..., dim) of nodes (...) at depth 1..L."""
        codes = self.get_buffer(f"prefixes_{depth - 1}")[nodes].long()  # (..., depth)
        vectors = torch.stack(
            [table(codes[..., b]) for b, table in zip(range(depth), self.code_vectors, strict=False)]
        ).sum(0)
        if self.own_vectors is not None:
            vectors = vectors + self.own_vectors[depth - 1](nodes)
        if self.projection is not None:
            vectors = vectors + self.projection(self.get_buffer(f"content_{depth - 1}")[nodes])
        return vectors

    def all(self, depth: int) -> Tensor:
        """Vectors of every node of a depth (N_depth, dim)."""
        if self.training:
            return self(depth, self.every_node(depth))
        if depth not in self.kept:
            self.kept[depth] = self(depth, self.every_node(depth))
        return self.kept[depth]

    def every_node(self, depth: int) -> Tensor:
        """All nodes of a depth (N_depth,)."""
        return torch.arange(self.sizes[depth - 1], device=self.get_buffer("prefixes_0").device)


def checked_content(wanted: bool, content: list[Tensor] | None) -> list[Tensor] | None:
    """The content to use, if any.

    Raises:
        ValueError: If it is wanted and not there.
    """
    if wanted and content is None:
        raise ValueError("reward.content=true needs item embeddings, got none")
    return content if wanted else None
