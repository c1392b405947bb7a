"""Learned terms that a history adds to the rewards of paths, which are known by trie node."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from promise.models.history_terms import HistoryTerms, Votes, ages_of, ages_seen_from, history_terms
from promise.models.neighbours import NeighbourTable
from promise.models.users import EncoderOutput


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

    def start(self, users: EncoderOutput) -> PathVotes:
        """The terms of every depth, once per user."""
        votes = self.terms.votes(users)
        ages = ages_of(users.lengths, users.items.shape[1])
        pairs = [self.by_node(depth, votes, ages) for depth in range(1, self.nodes.shape[1] + 1)]
        return PathVotes([nodes for nodes, _ in pairs], [terms for _, terms in pairs])

    def by_node(self, depth: int, votes: Votes, ages: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes (B, E) at a depth and what is added to each, (B, E) or (B, P, E): entries of a node add up.

        Args:
            depth: 1..L.
            votes: What the histories speak of.
            ages: (B, H), or (B, P, H) seen from P positions; below 0 = not seen yet.
        """
        (nodes, others), (terms, masses) = (
            self.terms.split(each) for each in (self.nodes[votes.items, depth - 1], self.terms(depth, votes, ages))
        )
        at, added = [nodes], [terms]
        for near, there, mass in zip(self.terms.neighbours, others, masses, strict=True):
            groups = NodeSums.of(there)
            at.append(groups.nodes.where(groups.nodes < self.sizes[depth - 1], 0))  # those that fill up have no mass
            added.append(near.terms(depth, groups.sums(mass)))
        return torch.cat(at, 1), torch.cat(added, -1)

    def spoken(self, users: EncoderOutput, positions: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """Nodes (B, E) that histories speak of at a depth, and what is added to each seen from positions: (B, P, E)."""
        return self.by_node(depth, self.terms.votes(users), ages_seen_from(positions, users.items.shape[1]))

    def contrast(
        self,
        users: EncoderOutput,
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
        nodes, terms = self.spoken(users, positions, depth)
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


def path_terms(
    overlap: bool,
    neighbours: Mapping[str, int],
    history: int,
    item_nodes: Tensor | None,
    tables: Mapping[str, NeighbourTable],
) -> PathTerms | None:
    """`history_terms` of a reward model, by trie node."""
    terms = history_terms("reward", overlap, neighbours, history, item_nodes, tables)
    return None if terms is None or item_nodes is None else PathTerms(terms, item_nodes=item_nodes)
