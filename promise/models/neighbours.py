"""What a history says of a path by holding neighbours of items below it: learned terms for co-visited items."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from promise.models.overlap import GAIN

#: Factor of a similarity before its logarithm is taken: two items that met once differ clearly from two that never did.
SCALE = 100.0


class NeighbourTable(NamedTuple):
    """The nearest items of every item, by how often training histories hold both close together.

    Attributes:
        items: (I, k) item indices, int64, the nearest first; where there are fewer, the item itself with a count of 0.
        counts: (I, k) sums over training histories of 1 / distance, float32.
        factors: (I, k) what turns a count into a similarity >= 0, float32.
        window: Largest distance of two items that was counted.
    """

    items: Tensor
    counts: Tensor
    factors: Tensor
    window: int

    def nearest(self, count: int) -> "NeighbourTable":
        """The first `count` neighbours of every item."""
        return NeighbourTable(self.items[:, :count], self.counts[:, :count], self.factors[:, :count], self.window)

    def grown(self, count: int) -> "NeighbourTable":
        """The table of more items, of which the new ones have no neighbours yet."""
        more = torch.arange(len(self.items), count, device=self.items.device)[:, None].expand(-1, self.items.shape[1])
        none = self.counts.new_zeros(more.shape)
        return NeighbourTable(
            torch.cat((self.items, more)),
            torch.cat((self.counts, none)),
            torch.cat((self.factors, none)),
            self.window,
        )


class HistoryNeighbours(nn.Module):
    """Learned terms that history items add to the logit of every path above one of their neighbours.

    At depth b an item of age a (0 = the newest) adds `GAIN * weights[b, a] * log(1 + SCALE * similarity)` for each of
    its neighbours to the path above it. What the user's own history added to a count is taken out again, for in
    training it holds the very item that is to be predicted. All weights start at 0. Deviation: the paper's networks
    have no such term; it is the item-to-item baseline as a feature.

    Args:
        history: Most items H of a history; older ones count as the oldest.
        levels: L.
        table: The neighbours of every item.
    """

    items: Tensor
    counts: Tensor
    factors: Tensor

    def __init__(self, history: int, levels: int, *, table: NeighbourTable) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(levels, history))
        self.window = table.window
        self.register_buffer("items", table.items, persistent=False)
        self.register_buffer("counts", table.counts, persistent=False)
        self.register_buffer("factors", table.factors, persistent=False)

    def grow(self, count: int) -> None:
        """Let histories hold new items, which have no neighbours yet."""
        table = NeighbourTable(self.items, self.counts, self.factors, self.window).grown(count)
        self.items, self.counts, self.factors = table.items, table.counts, table.factors

    def strengths(self, history: Tensor, lengths: Tensor, following: Tensor | None) -> Tensor:
        """log(1 + SCALE x similarity) of history items and their neighbours, without the user's own share of it.

        Args:
            history: (B, H) item indices, right-padded.
            lengths: (B,) real items of each.
            following: (B,) the item after the history, below 0 = none; None = none for all.

        Returns:
            (B, H, k), >= 0.
        """
        neighbours, counts = self.items[history], self.counts[history]  # (B, H, k)
        steps = torch.arange(history.shape[1], device=history.device)
        last = history.new_full((len(history), 1), -1)
        sequence = torch.cat((history.where(steps < lengths[:, None], -1), last), 1)  # (B, H + 1)
        if following is not None:
            sequence = sequence.scatter(1, lengths[:, None], following[:, None])
        padded = nn.functional.pad(sequence, (self.window, self.window), value=-1)
        for distance in range(1, self.window + 1):
            for shift in (-distance, distance):
                near = padded[:, self.window + shift :][:, : history.shape[1]]  # (B, H)
                counts = counts - (neighbours == near[..., None]) / distance
        return torch.log1p(SCALE * counts.clamp_min(0) * self.factors[history])

    def terms(self, depth: int, strengths: Tensor, ages: Tensor) -> Tensor:
        """What items add to the depth-b prefixes of their neighbours, 0 where an age is below 0.

        Args:
            depth: 1..L.
            strengths: (..., H, k), broadcastable with `ages`.
            ages: (..., H) items of the history that follow each; below 0 = not seen yet.

        Returns:
            (..., H * k) logits.
        """
        by_age = self.weights[depth - 1][ages.clamp(0, self.weights.shape[1] - 1)] * (ages >= 0)
        return (GAIN * by_age[..., None] * strengths).flatten(-2)
