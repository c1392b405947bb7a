"""What a history says of a path by holding items below it: a learned term for every such item."""

import torch
from torch import Tensor, nn

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
