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
        strengths: (B, H, k) how strongly each history item speaks of its neighbours; None without neighbours.
    """

    items: Tensor
    strengths: Tensor | None


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

    def move(self, item_nodes: Tensor) -> None:
        """Take the nodes (I, L) of a larger trie, the new items last."""
        if self.overlap is not None:
            self.overlap.shares = prefix_shares(item_nodes)
        if self.neighbours is not None:
            self.neighbours.grow(len(item_nodes))

    def votes(self, users: UserStates) -> Votes:
        """What the histories speak of, once per user."""
        parts, strengths = [], None
        if self.overlap is not None:
            parts.append(users.items)
        if self.neighbours is not None:
            parts.append(self.neighbours.items[users.items].flatten(1))  # (B, H, k) -> (B, H * k)
            strengths = self.neighbours.strengths(users.items, users.lengths, users.following)
        return Votes(torch.cat(parts, 1), strengths)

    def forward(self, depth: int, votes: Votes, ages: Tensor) -> Tensor:
        """What every entry adds to the depth-b prefix of its item.

        Args:
            depth: 1..L.
            votes: What the histories speak of.
            ages: (B, H), or (B, P, H) seen from P positions; below 0 = not seen yet.

        Returns:
            (B, E), or (B, P, E), logits.
        """
        each = ages.ndim == 3
        parts = []
        if self.overlap is not None:
            items = votes.items[:, : ages.shape[-1]]
            parts.append(self.overlap.terms(depth, items[:, None] if each else items, ages))
        if self.neighbours is not None and votes.strengths is not None:
            strengths = votes.strengths[:, None] if each else votes.strengths
            parts.append(self.neighbours.terms(depth, strengths, ages))
        return torch.cat(parts, -1)


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


class NodeSums(NamedTuple):
    """Entries (B, E) grouped by node, so that what is said of one node is summed once and found by bisection.

    Attributes:
        nodes: (B, E) the distinct nodes of each user, ascending; filled up with the largest integer.
        group: (B, E) which of them each entry is of.
    """

    nodes: Tensor
    group: Tensor

    @classmethod
    def of(cls, nodes: Tensor) -> "NodeSums":
        """Group entries by their nodes (B, E)."""
        ordered, order = nodes.sort(1)
        first = torch.ones_like(ordered, dtype=torch.bool)
        first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        run = first.cumsum(1) - 1
        filled = torch.full_like(nodes, torch.iinfo(nodes.dtype).max)
        return cls(filled.scatter_(1, run, ordered), torch.empty_like(run).scatter_(1, order, run))

    def sums(self, terms: Tensor) -> Tensor:
        """Sum of the terms of each distinct node: (B, E), or (B, P, E) with one row per position; of the same shape."""
        group = self.group if terms.ndim == 2 else self.group[:, None].expand(terms.shape)
        return torch.zeros_like(terms).scatter_add(-1, group, terms)

    def places(self, paths: Tensor) -> tuple[Tensor, Tensor]:
        """Where nodes (B, C) stand among the distinct ones (B, C), and whether they do (B, C)."""
        places = torch.searchsorted(self.nodes, paths.contiguous()).clamp_max(self.nodes.shape[1] - 1)
        return places, self.nodes.gather(1, places) == paths


class PathVotes(NamedTuple):
    """What the histories of B users add to the rewards of the paths above the items they speak of.

    Attributes:
        nodes: For each depth the nodes (B, E) of those items' prefixes.
        terms: For each depth what each entry adds (B, E).
    """

    nodes: list[Tensor]
    terms: list[Tensor]

    def select_users(self, users: Tensor | slice) -> "PathVotes":
        """The terms of some users of the batch."""
        return PathVotes([nodes[users] for nodes in self.nodes], [terms[users] for terms in self.terms])

    def added(self, depth: int, paths: Tensor, rewards: Tensor) -> Tensor:
        """Rewards (B, C) of the paths that end in nodes (B, C) at depth 1..L, with the terms added."""
        groups = NodeSums.of(self.nodes[depth - 1])
        places, found = groups.places(paths)
        return rewards + groups.sums(self.terms[depth - 1]).gather(1, places) * found

    def added_to_all(self, depth: int, rewards: Tensor) -> Tensor:
        """Rewards (B, N_depth) of every prefix of a depth, with the terms added."""
        return rewards.scatter_add(1, self.nodes[depth - 1], self.terms[depth - 1].to(rewards.dtype))


class PathTerms(nn.Module):
    """`HistoryTerms` for a judge of paths, which knows them by trie node.

    Args:
        terms: What histories add.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
    """

    nodes: Tensor

    def __init__(self, terms: HistoryTerms, *, item_nodes: Tensor) -> None:
        super().__init__()
        self.terms = terms
        self.register_buffer("nodes", item_nodes, persistent=False)
        self.sizes = (item_nodes.amax(0) + 1).tolist()

    def move(self, item_nodes: Tensor | None) -> None:
        """Take the nodes (I, L) of a larger trie, the new items last.

        Raises:
            ValueError: If they are missing.
        """
        if item_nodes is None:
            raise ValueError("a reward with overlap or neighbours needs the trie nodes of the items, got none")
        self.nodes = item_nodes.to(self.nodes.device)
        self.sizes = (item_nodes.amax(0) + 1).tolist()
        self.terms.move(self.nodes)

    def start(self, users: UserStates) -> PathVotes:
        """The terms of every depth, once per user."""
        votes = self.terms.votes(users)
        ages = ages_of(users.lengths, users.items.shape[1])
        depths = range(1, self.nodes.shape[1] + 1)
        return PathVotes(
            [self.nodes[votes.items, depth - 1] for depth in depths],
            [self.terms(depth, votes, ages) for depth in depths],
        )

    def contrast(
        self,
        users: UserStates,
        positions: Tensor,
        depth: int,
        positives: Tensor,
        negatives: Tensor,
        of_positives: Tensor,
        of_negatives: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """InfoNCE logits with the terms added.

        Args:
            users: User states.
            positions: (B, P) last history item each target may see.
            depth: 1..L.
            positives: (B, P) nodes of the true prefixes.
            negatives: (N,) nodes shared by all targets, or (B, P, N) of each target's own.
            of_positives: (B, P) logits.
            of_negatives: (B, P, N) logits; those of shared negatives are changed in place.

        Returns:
            (B, P) of the positives and (B, P, N) of the negatives.
        """
        votes = self.terms.votes(users)
        nodes = self.nodes[votes.items, depth - 1]  # (B, E)
        terms = self.terms(depth, votes, ages_seen_from(positions, users.items.shape[1]))  # (B, P, E)
        groups = NodeSums.of(nodes)
        sums = groups.sums(terms)  # (B, P, E)
        places, found = groups.places(positives)
        of_positives = of_positives + sums.gather(2, places[..., None]).squeeze(2) * found
        if negatives.ndim == 3:
            places, found = (x.view_as(negatives) for x in groups.places(negatives.flatten(1)))
            return of_positives, of_negatives + sums.gather(2, places) * found
        # Of the shared negatives each user's history speaks of a few at most: add to those places only.
        place = torch.full((self.sizes[depth - 1] + 1,), -1, device=nodes.device)
        place[negatives] = torch.arange(len(negatives), device=nodes.device)
        at = place[groups.nodes.clamp_max(self.sizes[depth - 1])]  # (B, E)
        sums = (sums * (at >= 0)[:, None]).to(of_negatives.dtype)
        return of_positives, of_negatives.scatter_add_(2, at.clamp_min(0)[:, None].expand(sums.shape), sums)


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
