"""HistoryBias: learned logits that the items which a history speaks of add to the paths above them."""

import math

import torch
from torch import Tensor, nn

from promise.models.cooccurrence.neighbours import HistoryItems

#: Logits per unit of a weight. AdamW moves a weight by its learning rate a step, and a logit may have to move by ten.
GAIN = 10.0

#: Factor of a score at the start, before its logarithm is taken: who met once differs clearly from who never did.
SCORE_SCALE = 100.0


class OwnItemsBias(nn.Module):
    """Logits that history items add to the paths above themselves.

    At depth b an item of age a (0 = the newest) adds `GAIN * (ages[b, a] + share[b] / n)` to its own prefix, where n is
    the number of items below that prefix. So the network can learn that users stay with a brand, return to what they
    bought last, or never buy an item twice: summed over the history, 1 / n is the share of a prefix's items that the
    user already has. All weights start at 0. Deviation: the paper's networks have no such term.

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

    def forward(self, depth: int, items: Tensor, ages: Tensor) -> Tensor:
        """Logits (...) that items (...) of some ages (...) add to their depth-b prefixes, 0 where an age is below 0."""
        by_age = self.ages[depth - 1][ages.clamp(0, self.ages.shape[1] - 1)]
        return GAIN * (by_age + self.share[depth - 1] * self.shares[items, depth - 1]) * (ages >= 0)


class NeighboursBias(nn.Module):
    """Logits of paths with neighbours of history items below them.

    The score of a prefix of depth b is the sum over history items of age a (0 = the newest) and their neighbours below
    it of `exp(recency[b, a])` x similarity: what a ranker by counts would give it. Its logit grows by
    `GAIN * scale * gains[b] * log(1 + exp(log_scale[b]) * score)`. The gains start at 0, `scale` is 1 in training.
    Deviation: the paper's networks have no such term.

    Args:
        history: Most items H of a history; older ones count as the oldest.
        levels: L.
        counted: Whether similarities are counted from sequences; only then `set_scale` weighs them.
    """

    def __init__(self, history: int, levels: int, counted: bool) -> None:
        super().__init__()
        self.gains = nn.Parameter(torch.zeros(levels))
        self.recency = nn.Parameter(-torch.arange(1, history + 1).log().repeat(levels, 1))
        self.log_scale = nn.Parameter(torch.full((levels,), math.log(SCORE_SCALE)))
        self.counted = counted
        self.scale = 1.0

    def scores(self, depth: int, similarities: Tensor, ages: Tensor) -> Tensor:
        """Terms of every neighbour in the score of the depth-b prefix above it, 0 where an age is below 0.

        Args:
            depth: 1..L.
            similarities: (..., H, k), broadcastable with `ages`.
            ages: (..., H).

        Returns:
            (..., H * k), >= 0.
        """
        recency = self.recency[depth - 1].exp()
        by_age = recency[ages.clamp(0, self.recency.shape[1] - 1)] * (ages >= 0)
        return (by_age[..., None] * similarities).flatten(-2)

    def forward(self, depth: int, scores: Tensor) -> Tensor:
        """Logits (...) of depth-b prefixes of some scores (...), 0 where a score is 0."""
        return GAIN * self.scale * self.gains[depth - 1] * (self.log_scale[depth - 1].exp() * scores).log1p()


class HistoryBias(nn.Module):
    """`OwnItemsBias`, and `NeighboursBias` for each table of neighbours.

    Args:
        history: Most items H of a history.
        counted: For each table whether it is counted from sequences.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
    """

    def __init__(self, history: int, counted: list[bool], *, item_nodes: Tensor) -> None:
        super().__init__()
        self.own = OwnItemsBias(history, item_nodes=item_nodes)
        self.neighbours = [NeighboursBias(history, item_nodes.shape[1], each) for each in counted]
        self.near = nn.ModuleList(self.neighbours)

    def forward(self, depth: int, items: HistoryItems, ages: Tensor) -> Tensor:
        """Terms of every entry in the depth-b prefix of its item.

        Args:
            depth: 1..L.
            items: What the histories speak of.
            ages: (B, H), or (B, P, H) seen from P positions; below 0 = not seen yet.

        Returns:
            (B, E), or (B, P, E): logits of the history's own items, then scores of their neighbours.
        """
        own, similarities = items.split(items.items)[0], items.similarities
        if ages.ndim == 3:
            own, similarities = own[:, None], [each[:, None] for each in similarities]
        near = [bias.scores(depth, each, ages) for bias, each in zip(self.neighbours, similarities, strict=True)]
        return torch.cat([self.own(depth, own, ages), *near], -1)

    def added(self, depth: int, logits: Tensor, items: HistoryItems, item_codes: Tensor, entries: Tensor) -> Tensor:
        """Logits of the next codes with the bias added.

        Args:
            depth: 1..L, of the next code.
            logits: (B, W, K).
            items: What the histories speak of.
            item_codes: (B, E) code 0..K-1 of each entry's item at that level.
            entries: (B, W, E) what each entry adds, 0 where it does not lie below the path so far.

        Returns:
            (B, W, K).
        """
        (own_codes, *codes), (own, *scores) = items.split(item_codes), items.split(entries)
        logits = add_at(logits, own_codes, own)
        for bias, there, score in zip(self.neighbours, codes, scores, strict=True):
            sums = add_at(torch.zeros_like(logits, dtype=entries.dtype), there, score)
            logits = logits + bias(depth, sums).to(logits.dtype)
        return logits


def add_at(logits: Tensor, places: Tensor, terms: Tensor) -> Tensor:
    """Add terms (B, W, E) at places (B, E), 0..K-1, of logits: (B, W, K) -> (B, W, K)."""
    return logits.scatter_add(2, places[:, None, :].expand(terms.shape), terms.to(logits.dtype))


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
