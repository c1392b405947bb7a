"""What a history says of a path by holding items below it: a learned term for every such item."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from promise.models.users import UserStates

#: Logits per unit of a weight. AdamW moves a weight by its learning rate a step, and a logit may have to move by ten.
GAIN = 10.0


class HistoryOverlap(nn.Module):
    """Learned terms that history items add to the logit of every path above them.

    At depth b an item of age a (0 = the newest) adds `GAIN * (ages[b, a] + shares[b] / n)` to its own prefix, where n
    is the number of items below that prefix. So the network can learn that users stay with a brand, return to what
    they bought last, or never buy an item twice: summed over the history, 1 / n is the share of a prefix's items that
    the user already has. All weights start at 0. Deviation: the paper's networks have no such term.

    Args:
        history: Most items H of a history; older ones count as the oldest.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
    """

    shares: Tensor

    def __init__(self, history: int, *, item_nodes: Tensor) -> None:
        super().__init__()
        levels = item_nodes.shape[1]
        self.ages = nn.Parameter(torch.zeros(levels, history))
        self.share = nn.Parameter(torch.zeros(levels))
        self.register_buffer("shares", prefix_shares(item_nodes), persistent=False)

    def terms(self, depth: int, items: Tensor, ages: Tensor) -> Tensor:
        """What items add to their depth-b prefixes, 0 where an age is below 0.

        Args:
            depth: 1..L.
            items: (...) item indices.
            ages: (...) items of the history that follow each, broadcastable with `items`; below 0 = not seen yet.

        Returns:
            (...) logits.
        """
        by_age = self.ages[depth - 1][ages.clamp(0, self.ages.shape[1] - 1)]
        return GAIN * (by_age + self.share[depth - 1] * self.shares[items, depth - 1]) * (ages >= 0)


class OverlapTerms(NamedTuple):
    """What the history items of B users add to the rewards of the paths above them.

    Attributes:
        nodes: For each depth the nodes (B, H) of the items' prefixes.
        terms: For each depth what each item adds (B, H).
    """

    nodes: list[Tensor]
    terms: list[Tensor]

    def select_users(self, users: Tensor | slice) -> "OverlapTerms":
        """The terms of some users of the batch."""
        return OverlapTerms([nodes[users] for nodes in self.nodes], [terms[users] for terms in self.terms])

    def added(self, depth: int, paths: Tensor, rewards: Tensor) -> Tensor:
        """Rewards (B, C) of the paths that end in nodes (B, C) at depth 1..L, with the terms added."""
        return rewards + sum_at(paths, self.nodes[depth - 1], self.terms[depth - 1])

    def added_to_all(self, depth: int, rewards: Tensor) -> Tensor:
        """Rewards (B, N_depth) of every prefix of a depth, with the terms added."""
        return rewards.scatter_add(1, self.nodes[depth - 1], self.terms[depth - 1].to(rewards.dtype))


class PathOverlap(nn.Module):
    """`HistoryOverlap` for a judge of paths, which knows them by trie node.

    Args:
        history: Most items H of a history.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
    """

    nodes: Tensor

    def __init__(self, history: int, item_nodes: Tensor) -> None:
        super().__init__()
        self.overlap = HistoryOverlap(history, item_nodes=item_nodes)
        self.register_buffer("nodes", item_nodes, persistent=False)
        self.sizes = (item_nodes.amax(0) + 1).tolist()

    @classmethod
    def of(cls, overlap: bool, history: int, item_nodes: Tensor | None) -> "PathOverlap | None":
        """The module where `reward.overlap` asks for it.

        Raises:
            ValueError: If it is asked for and the items' nodes are missing.
        """
        if not overlap:
            return None
        if item_nodes is None:
            raise ValueError("reward.overlap=true needs the trie nodes of the items, got none")
        return cls(history, item_nodes)

    def move(self, item_nodes: Tensor | None) -> None:
        """Take the nodes (I, L) of a larger trie.

        Raises:
            ValueError: If they are missing.
        """
        if item_nodes is None:
            raise ValueError("reward.overlap=true needs the trie nodes of the items, got none")
        self.nodes = item_nodes.to(self.nodes.device)
        self.sizes = (item_nodes.amax(0) + 1).tolist()
        self.overlap.shares = prefix_shares(self.nodes)

    def start(self, users: UserStates) -> OverlapTerms:
        """The terms of every depth, once per user."""
        ages = ages_of(users.lengths, users.items.shape[1])
        depths = range(1, self.nodes.shape[1] + 1)
        return OverlapTerms(
            [self.nodes[users.items, depth - 1] for depth in depths],
            [self.overlap.terms(depth, users.items, ages) for depth in depths],
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
        nodes = self.nodes[users.items, depth - 1]  # (B, H)
        terms = self.overlap.terms(depth, users.items[:, None], ages_seen_from(positions, nodes.shape[1]))  # (B, P, H)
        of_positives = of_positives + sum_at(positives, nodes, terms)
        if negatives.ndim == 3:
            targets, count = positions.shape[1], negatives.shape[2]
            added = sum_at(negatives.flatten(1), nodes, terms.repeat_interleave(count, 1))
            return of_positives, of_negatives + added.unflatten(1, (targets, count))
        # Of the shared negatives each user's history is above a few at most: add to those places only.
        place = torch.full((self.sizes[depth - 1],), -1, device=nodes.device)
        place[negatives] = torch.arange(len(negatives), device=nodes.device)
        at = place[nodes][:, None].expand(terms.shape)  # (B, P, H)
        terms = (terms * (at >= 0)).to(of_negatives.dtype)
        return of_positives, of_negatives.scatter_add_(2, at.clamp_min(0), terms)


def ages_of(lengths: Tensor, width: int) -> Tensor:
    """Age of every place of histories padded to a width: (B,) lengths -> (B, H); 0 = the newest, < 0 = padding."""
    return lengths[:, None] - 1 - torch.arange(width, device=lengths.device)


def ages_seen_from(positions: Tensor, width: int) -> Tensor:
    """Age of every history item seen from each position (B, P) -> (B, P, H); below 0 = after it."""
    return positions[..., None] - torch.arange(width, device=positions.device)


def sum_at(paths: Tensor, nodes: Tensor, terms: Tensor) -> Tensor:
    """Sum of the terms of the history items below each path.

    Args:
        paths: (B, C) nodes of one depth.
        nodes: (B, H) nodes of the history items' prefixes at that depth.
        terms: (B, H), or (B, C, H) with one row per path.

    Returns:
        (B, C).
    """
    below = paths[:, :, None] == nodes[:, None, :]  # (B, C, H)
    return (below * (terms if terms.ndim == 3 else terms[:, None, :])).sum(-1)


def narrowed(below: Tensor, codes: Tensor, history_codes: Tensor) -> Tensor:
    """Which history items lie below paths that one more code was added to.

    Args:
        below: (B, W, H), True where they lay below the shorter path.
        codes: (B, W) the codes added.
        history_codes: (B, H) the history items' codes at that level.
    """
    return below & (codes[:, :, None] == history_codes[:, None, :])


def add_terms(logits: Tensor, codes: Tensor, terms: Tensor) -> Tensor:
    """Add terms of the history to the logits of the codes that its items have.

    Args:
        logits: (B, W, K).
        codes: (B, H) places 0..K-1 that each history item adds to.
        terms: (B, W, H).

    Returns:
        (B, W, K).
    """
    return logits.scatter_add(2, codes[:, None, :].expand(terms.shape), terms.to(logits.dtype))


def prefix_nodes(codes: Tensor) -> Tensor:
    """Trie node of every item's prefix at each depth: codes (I, L) -> (I, L), numbered in lexicographic order.

    >>> prefix_nodes(torch.tensor([[1, 0], [0, 5], [1, 2]])).tolist()
    [[1, 1], [0, 0], [1, 2]]
    """
    nodes = [torch.unique(codes[:, 0], return_inverse=True)[1]]
    for level in range(1, codes.shape[1]):
        below = nodes[-1] * (int(codes[:, level].max()) + 1) + codes[:, level]
        nodes.append(torch.unique(below, return_inverse=True)[1])
    return torch.stack(nodes, 1)


def prefix_shares(item_nodes: Tensor) -> Tensor:
    """One over the number of items below each item's prefixes: (I, L) nodes -> (I, L) in (0, 1].

    >>> prefix_shares(torch.tensor([[1, 1], [0, 0], [1, 2]])).tolist()
    [[0.5, 1.0], [1.0, 1.0], [0.5, 1.0]]
    """
    columns = [1.0 / torch.bincount(nodes)[nodes] for nodes in item_nodes.unbind(1)]
    return torch.stack(columns, 1)
