"""PrefixBias: `HistoryBias` for paths that are known by trie node."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from promise.models.cooccurrence.history_bias import HistoryBias, prefix_shares
from promise.models.cooccurrence.neighbours import HistoryItems


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


class PrefixBias(nn.Module):
    """What the items that histories speak of add to the rewards of the prefixes above them.

    Args:
        history: Most items H of a history.
        counted: For each table of neighbours whether it is counted from sequences.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
    """

    nodes: Tensor

    def __init__(self, history: int, counted: list[bool], *, item_nodes: Tensor) -> None:
        super().__init__()
        self.bias = HistoryBias(history, counted, item_nodes=item_nodes)
        self.register_buffer("nodes", item_nodes, persistent=False)
        self.sizes = (item_nodes.amax(0) + 1).tolist()

    def move(self, item_nodes: Tensor) -> None:
        """Take the nodes (I, L) of a larger trie, the new items last."""
        self.nodes = item_nodes.to(self.nodes.device)
        self.sizes = (item_nodes.amax(0) + 1).tolist()
        self.bias.own.shares = prefix_shares(self.nodes)

    def forward(self, depth: int, items: HistoryItems, ages: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes (B, E) at a depth and what is added to each, (B, E) or (B, P, E): entries of a node add up.

        Args:
            depth: 1..L.
            items: What the histories speak of.
            ages: (B, H), or (B, P, H) seen from P positions; below 0 = not seen yet.
        """
        own, *near = items.split(self.nodes[items.items, depth - 1])
        own_terms, *scores = items.split(self.bias(depth, items, ages))
        nodes, terms = [own], [own_terms]
        for bias, there, score in zip(self.bias.neighbours, near, scores, strict=True):
            groups = NodeSums.of(there)
            nodes.append(groups.nodes.where(groups.nodes < self.sizes[depth - 1], 0))  # those that fill up score 0
            terms.append(bias(depth, groups.sums(score)))
        return torch.cat(nodes, 1), torch.cat(terms, -1)
