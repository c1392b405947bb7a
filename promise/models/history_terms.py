"""Learned terms that a history adds to the logits of paths, as generator and reward model take them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from promise.models.neighbours import HistoryNeighbours, NeighbourTable
from promise.models.overlap import HistoryOverlap, prefix_shares
from promise.models.users import UserStates


class Votes(NamedTuple):
    """The items that a history speaks of: its own, then the neighbours of each.

    Attributes:
        items: (B, E) item indices.
        similarities: (B, H, k) of history items and their neighbours; None without neighbours.
    """

    items: Tensor
    similarities: Tensor | None


class HistoryTerms(nn.Module):
    """`HistoryOverlap` and `HistoryNeighbours`, or one of them.

    Args:
        overlap: History items speak of themselves.
        history: Most items H of a history.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
        neighbours: Neighbours of every item; None = history items don't speak of others.
    """

    def __init__(self, overlap: bool, history: int, *, item_nodes: Tensor, neighbours: NeighbourTable | None) -> None:
        super().__init__()
        levels = item_nodes.shape[1]
        self.overlap = HistoryOverlap(history, item_nodes=item_nodes) if overlap else None
        self.neighbours = HistoryNeighbours(history, levels, table=neighbours) if neighbours else None

    @property
    def entries(self) -> int:
        """Items that one history item speaks of, itself included."""
        return int(self.overlap is not None) + (self.neighbours.items.shape[1] if self.neighbours else 0)

    def own(self, ages: Tensor) -> int:
        """How many of the entries are the history's own items, given their ages (..., H)."""
        return 0 if self.overlap is None else ages.shape[-1]

    def move(self, item_nodes: Tensor) -> None:
        """Take the nodes (I, L) of a larger trie, the new items last."""
        if self.overlap is not None:
            self.overlap.shares = prefix_shares(item_nodes)
        if self.neighbours is not None:
            self.neighbours.grow(len(item_nodes))

    def votes(self, users: UserStates) -> Votes:
        """What the histories speak of, once per user."""
        parts, similarities = [], None
        if self.overlap is not None:
            parts.append(users.items)
        if self.neighbours is not None:
            parts.append(self.neighbours.items[users.items].flatten(1))  # (B, H, k) -> (B, H * k)
            similarities = self.neighbours.similarities(users.items, users.lengths, users.following)
        return Votes(torch.cat(parts, 1), similarities)

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
        if self.neighbours is not None and votes.similarities is not None:
            similarities = votes.similarities[:, None] if each else votes.similarities
            parts.append(self.neighbours.masses(depth, similarities, ages))
        return torch.cat(parts, -1)

    def added(self, depth: int, logits: Tensor, codes: Tensor, entries: Tensor, own: int) -> Tensor:
        """Logits of the next codes with the terms added.

        Args:
            depth: 1..L, of the next code.
            logits: (B, W, K).
            codes: (B, E) code 0..K-1 of each entry's item.
            entries: (B, W, E) what each entry adds, 0 where it does not lie below the path so far.
            own: How many entries are the history's own items.

        Returns:
            (B, W, K).
        """
        if self.overlap is not None:
            logits = add_terms(logits, codes[:, :own], entries[..., :own])
        if self.neighbours is not None:
            masses = add_terms(torch.zeros_like(logits, dtype=entries.dtype), codes[:, own:], entries[..., own:])
            logits = logits + self.neighbours.terms(depth, masses).to(logits.dtype)
        return logits


def history_terms(
    network: str, overlap: bool, neighbours: int, history: int, item_nodes: Tensor | None, table: NeighbourTable | None
) -> HistoryTerms | None:
    """The terms that a network's configuration asks for; None = none.

    Args:
        network: `generator` or `reward`, for messages.
        overlap: History items speak of themselves.
        neighbours: Neighbours that each speaks of, >= 0.
        history: Most items H of a history.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
        table: Their neighbours, at least as many.

    Raises:
        ValueError: If a dial is out of range, or nodes or neighbours are missing.
    """
    if neighbours < 0:
        raise ValueError(f"{network}.neighbours must be >= 0, got {neighbours}")
    if not overlap and not neighbours:
        return None
    dial = f"{network}.overlap=true" if overlap else f"{network}.neighbours={neighbours}"
    if item_nodes is None:
        raise ValueError(f"{dial} needs the trie nodes of the items, got none")
    if neighbours and (table is None or table.items.shape[1] < neighbours):
        got = "none" if table is None else f"{table.items.shape[1]} each"
        raise ValueError(f"{network}.neighbours={neighbours} needs so many neighbours of every item, got {got}")
    if neighbours and table is not None:
        table = table.nearest(neighbours)
    return HistoryTerms(overlap, history, item_nodes=item_nodes, neighbours=table if neighbours else None)


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
