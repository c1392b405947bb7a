"""Learned terms that a history adds to the logits of paths, as generator and reward model take them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from promise.models.neighbours import HistoryNeighbours, NeighbourTable
from promise.models.overlap import HistoryOverlap, prefix_shares
from promise.models.users import EncoderOutput


class Votes(NamedTuple):
    """The items that a history speaks of: its own, then the neighbours of each, table by table.

    Attributes:
        items: (B, E) item indices.
        similarities: For each table (B, H, k) of history items and their neighbours.
    """

    items: Tensor
    similarities: list[Tensor]


class HistoryTerms(nn.Module):
    """`HistoryOverlap`, and `HistoryNeighbours` for each table.

    Args:
        overlap: History items speak of themselves.
        history: Most items H of a history.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
        tables: Neighbours of every item; () = history items don't speak of others.
    """

    def __init__(self, overlap: bool, history: int, *, item_nodes: Tensor, tables: Sequence[NeighbourTable]) -> None:
        super().__init__()
        levels = item_nodes.shape[1]
        self.overlap = HistoryOverlap(history, item_nodes=item_nodes) if overlap else None
        self.near = nn.ModuleList(HistoryNeighbours(history, levels, table=table) for table in tables)

    @property
    def neighbours(self) -> list[HistoryNeighbours]:
        """The terms of each table."""
        return [module for module in self.near if isinstance(module, HistoryNeighbours)]

    @property
    def entries(self) -> int:
        """Items that one history item speaks of, itself included."""
        return int(self.overlap is not None) + sum(near.items.shape[1] for near in self.neighbours)

    def trust(self, factor: float) -> None:
        """Let what was counted from histories weigh so many times as much as was learned, outside training."""
        for near in self.neighbours:
            if near.window:
                near.trust = factor

    def split(self, entries: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Entries (..., E) of the history's own items, and of each table."""
        sizes = [near.items.shape[1] for near in self.neighbours]
        history = entries.shape[-1] // self.entries
        own, *others = entries.split([history * (self.overlap is not None), *(history * size for size in sizes)], -1)
        return own, others

    def move(self, item_nodes: Tensor) -> None:
        """Take the nodes (I, L) of a larger trie, the new items last."""
        if self.overlap is not None:
            self.overlap.shares = prefix_shares(item_nodes)
        for near in self.neighbours:
            near.grow(len(item_nodes))

    def votes(self, users: EncoderOutput) -> Votes:
        """What the histories speak of, once per user."""
        own = [users.items] if self.overlap is not None else []
        others = [near.items[users.items].flatten(1) for near in self.neighbours]  # (B, H, k) -> (B, H * k)
        history = users.items, users.lengths, users.following
        return Votes(torch.cat([*own, *others], 1), [near.similarities(*history) for near in self.neighbours])

    def forward(self, depth: int, votes: Votes, ages: Tensor) -> Tensor:
        """What every entry adds to the depth-b prefix of its item.

        Args:
            depth: 1..L.
            votes: What the histories speak of.
            ages: (B, H), or (B, P, H) seen from P positions; below 0 = not seen yet.

        Returns:
            (B, E), or (B, P, E): logits of the history's own items, then masses of their neighbours.
        """
        each = ages.ndim == 3
        parts = []
        if self.overlap is not None:
            items = votes.items[:, : ages.shape[-1]]
            parts.append(self.overlap.terms(depth, items[:, None] if each else items, ages))
        for near, similarities in zip(self.neighbours, votes.similarities, strict=True):
            parts.append(near.masses(depth, similarities[:, None] if each else similarities, ages))
        return torch.cat(parts, -1)

    def added(self, depth: int, logits: Tensor, codes: Tensor, entries: Tensor) -> Tensor:
        """Logits of the next codes with the terms added.

        Args:
            depth: 1..L, of the next code.
            logits: (B, W, K).
            codes: (B, E) code 0..K-1 of each entry's item.
            entries: (B, W, E) what each entry adds, 0 where it does not lie below the path so far.

        Returns:
            (B, W, K).
        """
        (own_codes, others), (own, masses) = self.split(codes), self.split(entries)
        logits = add_terms(logits, own_codes, own)
        for near, there, mass in zip(self.neighbours, others, masses, strict=True):
            below = add_terms(torch.zeros_like(logits, dtype=entries.dtype), there, mass)
            logits = logits + near.terms(depth, below).to(logits.dtype)
        return logits


def history_terms(
    network: str,
    overlap: bool,
    neighbours: Mapping[str, int],
    history: int,
    item_nodes: Tensor | None,
    tables: Mapping[str, NeighbourTable],
) -> HistoryTerms | None:
    """The terms that a network's configuration asks for; None = none.

    Args:
        network: `generator` or `reward`, for messages.
        overlap: History items speak of themselves.
        neighbours: Neighbours that each speaks of, >= 0, by the dial that says so.
        history: Most items H of a history.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
        tables: For each of these dials the neighbours of every item, at least as many.

    Raises:
        ValueError: If a dial is out of range, or nodes or neighbours are missing.
    """
    for name, count in neighbours.items():
        if count < 0:
            raise ValueError(f"{network}.{name} must be >= 0, got {count}")
    wanted = {name: count for name, count in neighbours.items() if count}
    if not overlap and not wanted:
        return None
    if item_nodes is None:
        dial = "overlap=true" if overlap else next(f"{name}={count}" for name, count in wanted.items())
        raise ValueError(f"{network}.{dial} needs the trie nodes of the items, got none")
    for name, count in wanted.items():
        if name not in tables or tables[name].items.shape[1] < count:
            got = f"{tables[name].items.shape[1]} each" if name in tables else "none"
            raise ValueError(f"{network}.{name}={count} needs so many neighbours of every item, got {got}")
    nearest = [tables[name].nearest(count) for name, count in wanted.items()]
    return HistoryTerms(overlap, history, item_nodes=item_nodes, tables=nearest)


def ages_of(lengths: Tensor, width: int) -> Tensor:
    """Age of every place of histories padded to a width: (B,) lengths -> (B, H); 0 = the newest, < 0 = padding."""
    return lengths[:, None] - 1 - torch.arange(width, device=lengths.device)


def ages_seen_from(positions: Tensor, width: int) -> Tensor:
    """Age of every history item seen from each position (B, P) -> (B, P, H); below 0 = after it."""
    return positions[..., None] - torch.arange(width, device=positions.device)


def narrowed(below: Tensor, codes: Tensor, spoken: Tensor) -> Tensor:
    """Which entries lie below paths that one more code was added to.

    Args:
        below: (B, W, E), True where they lay below the shorter path.
        codes: (B, W) the codes added.
        spoken: (B, E) the entries' codes at that level.
    """
    return below & (codes[:, :, None] == spoken[:, None, :])


def add_terms(logits: Tensor, codes: Tensor, terms: Tensor) -> Tensor:
    """Add the terms of entries to the logits of their codes.

    Args:
        logits: (B, W, K).
        codes: (B, E) place 0..K-1 that each entry adds to.
        terms: (B, W, E).

    Returns:
        (B, W, K).
    """
    return logits.scatter_add(2, codes[:, None, :].expand(terms.shape), terms.to(logits.dtype))
