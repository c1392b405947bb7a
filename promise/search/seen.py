"""Removal of the items a user already had, inside the search: no path may end in one of them."""

import torch
from torch import Tensor

from promise.ids.trie import Children, Trie
from promise.search.protocols import Users


class SeenFilter:
    """Takes away the children below which every item is in the user's history.

    Equal to a trie rebuilt without those items, for each user: probabilities are normalised over what is left.

    Args:
        trie: The catalogue's trie.
    """

    def __init__(self, trie: Trie) -> None:
        depths = range(trie.levels + 1)
        self.item_nodes = [trie.item_nodes(depth) for depth in depths]
        self.leaf_counts = [trie.leaf_counts(depth) for depth in depths]

    def __call__(self, depth: int, nodes: Tensor, children: Children, batch: Users) -> Children:
        """Narrow `valid` of the children (B, W, M) of nodes (B, W) at a depth 0..L-1."""
        history = batch.history
        above = self.item_nodes[depth][history]  # (B, H) prefix of each past item at the beams' depth
        below = self.item_nodes[depth + 1][history]
        fan_out = children.nodes.shape[2]
        hit = (above[:, :, None] == nodes[:, None, :]) & first_times(batch)[:, :, None]  # (B, H, W)
        slot = below[:, :, None] - children.nodes[:, None, :, 0]  # children are numbered in a row
        flat = torch.arange(nodes.shape[1], device=nodes.device) * fan_out + slot.clamp(0, fan_out - 1)
        had = torch.zeros(len(nodes), nodes.shape[1] * fan_out, dtype=torch.int64, device=nodes.device)
        had.scatter_add_(1, flat.flatten(1), hit.long().flatten(1))
        left = self.leaf_counts[depth + 1][children.nodes] > had.view_as(children.nodes)
        return children._replace(valid=children.valid & left)


def bans(batch: Users) -> Tensor:
    """(B, H) float32, what is added to the score of each item of a history: -inf, 0 in the padding."""
    return torch.zeros(batch.history.shape, device=batch.history.device).masked_fill(real_items(batch), -torch.inf)


def real_items(batch: Users) -> Tensor:
    """(B, H), False in the padding."""
    steps = torch.arange(batch.history.shape[1], device=batch.history.device)
    return steps < batch.lengths[:, None]


def first_times(batch: Users) -> Tensor:
    """(B, H), True where an item stands in its history for the first time; False in the padding."""
    real = real_items(batch)
    values, order = batch.history.masked_fill(~real, -1).sort(dim=1, stable=True)
    first = torch.ones_like(real)
    first[:, 1:] = values[:, 1:] != values[:, :-1]
    return torch.empty_like(first).scatter_(1, order, first) & real
