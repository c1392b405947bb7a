"""Paths as vectors: one per valid prefix of any depth, for reward models to judge."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Outside training the vectors of a depth are kept while they take no more than this; beyond, those asked are computed.
KEPT_BYTES = 2**30

#: Nodes whose vectors are computed at once where a whole depth is wanted.
NODES_AT_ONCE = 16_384


class PathTable(nn.Module):
    """One vector per valid prefix: the sum of its codes' vectors, plus a vector of its own, plus its items' content.

    Deviation: the paper has the prefix's own vector alone; here rare prefixes and new items share strength through
    their codes. The vectors are the reward model's own, never the decoder's. Outside training and without gradients all
    vectors of a depth are computed once, if they fit in `KEPT_BYTES`, and kept until weights may have changed: the next
    call of `train`, `load_state_dict` or `extend`, or a move to another device or type.

    Args:
        dim: Width of a path vector.
        prefix_table: `full` (a learned vector for each prefix), `hashed:N` (N learned vectors at each depth, shared by
            the prefixes whose codes hash alike), `none` (codes only) or `own` (as `full`, without those of its codes:
            the paper's).
        prefixes: For each depth 1..L the valid prefixes in the trie's node order, (N_b, b) codes.
        level_sizes: K of each level.
        content: For each depth 1..L the mean embedding of the items below each prefix (N_b, E); None = left out.
        unit: Scale every vector to length 1.

    Raises:
        ValueError: On an unknown `prefix_table`.
    """

    first_rows: Tensor

    def __init__(
        self,
        dim: int,
        prefix_table: str,
        *,
        prefixes: Sequence[Tensor],
        level_sizes: Sequence[int],
        content: Sequence[Tensor] | None = None,
        unit: bool = False,
    ) -> None:
        super().__init__()
        self.hashed = hashed_rows(prefix_table)
        self.unit = unit
        self.code_type = smallest_type(max(level_sizes))
        summed = () if prefix_table == "own" else level_sizes
        self.code_vectors = nn.ModuleList(nn.Embedding(size, dim) for size in summed)
        rows = [self.hashed or len(codes) for codes in prefixes]
        self.own_vectors = None if prefix_table == "none" else nn.ModuleList(nn.Embedding(n, dim) for n in rows)
        self.projection = nn.Linear(content[0].shape[1], dim, bias=False) if content else None
        self.register_buffer("first_rows", torch.tensor((0, *level_sizes[:-1])).cumsum(0), persistent=False)
        self.kept: dict[int, Tensor] = {}
        self._store(prefixes, content or [])

    def _store(self, prefixes: Sequence[Tensor], content: Sequence[Tensor]) -> None:
        """Hold the prefixes of every depth, and their content."""
        for depth, codes in enumerate(prefixes, start=1):
            self.register_buffer(f"prefixes_{depth}", codes.to(self.code_type), persistent=False)
        for depth, vectors in enumerate(content, start=1):
            self.register_buffer(f"content_{depth}", vectors, persistent=False)
        self.sizes = tuple(len(codes) for codes in prefixes)
        self.kept = {}

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
        """Vectors (..., dim) of nodes (...) at depth 1..L, computed from the weights."""
        codes = self.get_buffer(f"prefixes_{depth}")[nodes].long()  # (..., depth)
        parts: list[Tensor] = []
        if self.code_vectors:
            table = torch.cat(tuple(self.code_vectors.parameters())[:depth])  # (K_1 + ... + K_depth, dim)
            rows = (codes + self.first_rows[:depth]).view(-1, depth)
            parts.append(F.embedding_bag(rows, table, mode="sum").view(*nodes.shape, table.shape[1]))
        if self.own_vectors is not None:
            parts.append(self.own_vectors[depth - 1](path_hash(codes) % self.hashed if self.hashed else nodes))
        if self.projection is not None:
            parts.append(self.projection(F.embedding(nodes, self.get_buffer(f"content_{depth}"))))
        vectors = sum(parts[1:], parts[0])
        return F.normalize(vectors, dim=-1) if self.unit else vectors

    def look_up(self, depth: int, nodes: Tensor) -> Tensor:
        """As `forward`, from the kept vectors where there are any."""
        kept = self.keep(depth)
        return self(depth, nodes) if kept is None else F.embedding(nodes, kept)

    def all(self, depth: int) -> Iterator[Tensor]:
        """Vectors of every node of a depth, in order, in parts (n, dim)."""
        kept = self.keep(depth)
        if kept is not None:
            yield kept
        else:
            yield from (self(depth, nodes) for nodes in self.every_node(depth))

    def keep(self, depth: int) -> Tensor | None:
        """Vectors of every node of a depth (N_depth, dim), computed once; None where none are kept."""
        if self.training or torch.is_grad_enabled():
            return None
        if depth not in self.kept:
            like = next(self.parameters())  # (K_1, dim)
            size = self.sizes[depth - 1]
            if size * like[0].nbytes > KEPT_BYTES:
                return None
            table = like.new_empty(size, like.shape[1])
            with torch.autocast(like.device.type, enabled=False):  # the same whoever asks first
                for part, nodes in zip(table.split(NODES_AT_ONCE), self.every_node(depth), strict=True):
                    part.copy_(self(depth, nodes))
            self.kept[depth] = table
        return self.kept[depth]

    def every_node(self, depth: int, at_once: int | None = None) -> Iterator[Tensor]:
        """All nodes of a depth, in order, so many at once: (n,)."""
        nodes = torch.arange(self.sizes[depth - 1], device=self.get_buffer("prefixes_1").device)
        yield from nodes.split(at_once or NODES_AT_ONCE)

    @torch.no_grad()
    def extend(self, prefixes: Sequence[Tensor], moved: Sequence[Tensor], content: Sequence[Tensor] | None) -> None:
        """Take the prefixes of a larger trie, in place; old ones keep their vectors exactly.

        A new prefix starts from its codes and content: its own vector is zero (`full`) or the one that its hash names.
        Weights may be replaced by larger ones, so an optimiser has to be made anew.

        Args:
            prefixes: For each depth 1..L the prefixes of the larger trie, in its node order, (N_b, b) codes.
            moved: For each depth 1..L the new node of every old one.
            content: As in the constructor, for the larger trie; needed where there was content. An old prefix keeps
                the content that it was trained with.
        """
        content = (content if self.projection is not None else None) or []
        moved = [places.to(self.get_buffer("prefixes_1").device) for places in moved]
        if self.own_vectors is not None and not self.hashed:
            for depth, old in enumerate(list(self.own_vectors.parameters())):
                grown = old.new_zeros(len(prefixes[depth]), old.shape[1]).index_copy_(0, moved[depth], old)
                self.own_vectors[depth] = nn.Embedding.from_pretrained(grown, freeze=not old.requires_grad)
        together = []
        for depth, vectors in enumerate(content, start=1):
            known = self.get_buffer(f"content_{depth}")
            together.append(vectors.to(known).index_copy(0, moved[depth - 1], known))
        self._store([codes.to(moved[0].device) for codes in prefixes], together)


def hashed_rows(prefix_table: str) -> int:
    """Rows N per depth of a table `hashed:N`; 0 for `full`, `none` and `own`.

    Raises:
        ValueError: If it is none of these.
    """
    if prefix_table in ("full", "none", "own"):
        return 0
    match = re.fullmatch(r"hashed:([1-9][0-9]*)", str(prefix_table))
    if match is None:
        raise ValueError(f"reward.prefix_table must be full, none, own or hashed:N with N >= 1, got {prefix_table}")
    return int(match[1])


def path_hash(codes: Tensor) -> Tensor:
    """A number 0..2³²-1 that mixes the codes (..., b) of a path, the same on every machine: int64 (...).

    A multiplication spreads every bit upwards and a shift brings the high ones down again, code by code.
    """
    mixed = torch.zeros_like(codes[..., 0])
    for code in codes.unbind(-1):
        mixed = (mixed + code + 1) * 0x45D9F3B & 0xFFFFFFFF
        mixed = mixed ^ (mixed >> 16)
    return mixed


def smallest_type(size: int) -> torch.dtype:
    """The smallest integer type that holds 0 .. size - 1."""
    return torch.uint8 if size <= 2**8 else torch.int16 if size <= 2**15 else torch.int32
