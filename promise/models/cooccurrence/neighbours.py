"""The items that a history speaks of: its own, and the nearest neighbours of each, counted without the user."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class HistoryItems(NamedTuple):
    """The items that the histories of B users speak of: their own H, then k neighbours of each, table by table.

    Attributes:
        items: (B, E) item indices.
        similarities: For each table (B, H, k), of history items and their neighbours, >= 0.
        ages: (B, H) items of the history that follow each; below 0 = padding.
    """

    items: Tensor
    similarities: list[Tensor]
    ages: Tensor

    def split(self, entries: Tensor) -> list[Tensor]:
        """Values (..., E) of the history's own items, and of each table's."""
        history = self.ages.shape[1]
        return list(entries.split([history, *(history * each.shape[2] for each in self.similarities)], -1))

    def ages_from(self, positions: Tensor) -> Tensor:
        """Ages seen from positions (B, P) of the history: (B, P, H); below 0 = after it."""
        return positions[..., None] - torch.arange(self.ages.shape[1], device=positions.device)


class Neighbours(nn.Module):
    """The k nearest items of every item, of which a user's own counts are subtracted before they are cut to k.

    A similarity is a count times a factor. Where counts come from training sequences, what the user's own sequence
    added to them is taken out: in training it holds the very item that is to be predicted, and items after it. The
    table holds as many more candidates as one user can displace: the k nearest are those of a count without the user.

    Args:
        count: Neighbours k, at most the table's candidates.
        window: Largest distance of two items of a sequence that was counted; 0 = not counted from sequences.
        decay: A pair at distance d counts 1 / d^decay.
        backward: Factor of that where the neighbour stood before.
        items: (I, C) candidates of every item, the nearest first; where there are fewer, the item itself.
        counts: (I, C) float32, 0 where the candidate is the item itself.
        factors: (I, C) what turns a count into a similarity, >= 0.
    """

    items: Tensor
    counts: Tensor
    factors: Tensor

    def __init__(
        self, count: int, window: int, decay: float, backward: float, *, items: Tensor, counts: Tensor, factors: Tensor
    ) -> None:
        super().__init__()
        self.count, self.window, self.decay, self.backward = count, window, decay, backward
        for name, table in (("items", items), ("counts", counts), ("factors", factors)):
            self.register_buffer(name, table, persistent=False)

    def grow(self, total: int) -> None:
        """Let histories hold new items up to a total, which have no neighbours yet."""
        more = torch.arange(len(self.items), total, device=self.items.device)[:, None]
        self.items = torch.cat((self.items, more.expand(-1, self.items.shape[1])))
        self.counts, self.factors = (F.pad(table, (0, 0, 0, len(more))) for table in (self.counts, self.factors))

    def forward(self, history: Tensor, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest items of history items, and their similarities.

        Args:
            history: (B, H) item indices, any in the padding.
            sequence: (B, T) all items of each user that were counted, among them the history's; -1 = padding.

        Returns:
            Item indices and similarities, each (B, H, k).
        """
        near, counts, factors = self.items[history], self.counts[history], self.factors[history]  # (B, H, C)
        if self.window:
            counts = (counts - self.own_counts(history, sequence)).clamp_min(0)
        similarities = counts * factors
        if near.shape[2] == self.count:
            return near, similarities
        similarities, order = similarities.sort(dim=2, descending=True, stable=True)
        return near.gather(2, order[..., : self.count]), similarities[..., : self.count]

    def own_counts(self, history: Tensor, sequence: Tensor) -> Tensor:
        """The share of the users' own sequences (B, T) in the counts of history items (B, H): (B, H, C)."""
        near, length = self.items[sequence.clamp_min(0)], sequence.shape[1]  # (B, T, C)
        added = torch.zeros(near.shape, device=near.device)
        padded = F.pad(sequence, (self.window, self.window), value=-1)
        for distance in range(1, self.window + 1):
            for shift, weight in ((distance, 1.0), (-distance, self.backward)):
                beside = padded[:, self.window + shift :][:, :length]
                added += (near == beside[..., None]) * (weight * distance**-self.decay)
        same = history[:, :, None] == sequence[:, None, :]  # (B, H, T): every place of the item counts
        with torch.autocast(added.device.type, enabled=False):
            return same.to(added.dtype) @ added
