"""What a history says of a path by holding neighbours of items below it: learned terms for co-visited items."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from promise.models.overlap import GAIN

#: Factor of a mass at the start, before its logarithm is taken: who met once differs clearly from who never did.
SCALE = 100.0


class NeighbourTable(NamedTuple):
    """The nearest items of every item, by how often training histories hold both close together.

    Attributes:
        items: (I, k) item indices, int64, the nearest first; where there are fewer, the item itself with a count of 0.
        counts: (I, k) sums over training histories of 1 / distance^decay, `backward` times as much where the neighbour
            stood before, float32.
        factors: (I, k) what turns a count into a similarity >= 0, float32.
        window: Largest distance of two items that was counted; 0 = not counted from histories.
        decay: As above.
        backward: As above.
    """

    items: Tensor
    counts: Tensor
    factors: Tensor
    window: int
    decay: float = 1.0
    backward: float = 1.0

    def nearest(self, count: int) -> "NeighbourTable":
        """The first `count` neighbours of every item."""
        return self._replace(
            items=self.items[:, :count], counts=self.counts[:, :count], factors=self.factors[:, :count]
        )

    def grown(self, count: int) -> "NeighbourTable":
        """The table of more items, of which the new ones have no neighbours yet."""
        more = torch.arange(len(self.items), count, device=self.items.device)[:, None].expand(-1, self.items.shape[1])
        none = self.counts.new_zeros(more.shape)
        return self._replace(
            items=torch.cat((self.items, more)),
            counts=torch.cat((self.counts, none)),
            factors=torch.cat((self.factors, none)),
        )


def tables_of(tensors: Mapping[str, Tensor]) -> dict[str, NeighbourTable]:
    """Tables by name, from the tensors `TABLE.FIELD`."""
    fields: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        table, _, field = name.partition(".")
        fields.setdefault(table, {})[field] = tensor if tensor.ndim else tensor.item()
    return {name: NeighbourTable(**values) for name, values in fields.items()}


class HistoryNeighbours(nn.Module):
    """A learned term for every path with co-visited items of the history below it.

    The mass of a prefix of depth b is the sum over history items of age a (0 = the newest) and their neighbours below
    it of `exp(recency[b, a])` x similarity: what the item-to-item baseline would give it. The prefix's logit grows by
    `GAIN * gains[b] * log(1 + exp(log_scale[b]) * mass)`. What the user's own history added to a count is taken out
    again, for in training it holds the very item that is to be predicted. The gains start at 0. Deviation: the paper's
    networks have no such term.

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
        self.gains = nn.Parameter(torch.zeros(levels))
        self.recency = nn.Parameter(-torch.arange(1, history + 1).log().repeat(levels, 1))
        self.log_scale = nn.Parameter(torch.full((levels,), math.log(SCALE)))
        self.window, self.decay, self.backward = table.window, table.decay, table.backward
        self.trust = 1.0
        self.register_buffer("items", table.items, persistent=False)
        self.register_buffer("counts", table.counts, persistent=False)
        self.register_buffer("factors", table.factors, persistent=False)

    def grow(self, count: int) -> None:
        """Let histories hold new items, which have no neighbours yet."""
        table = NeighbourTable(self.items, self.counts, self.factors, self.window).grown(count)
        self.items, self.counts, self.factors = table.items, table.counts, table.factors

    def similarities(self, history: Tensor, lengths: Tensor, following: Tensor | None) -> Tensor:
        """Similarities of history items and their neighbours, without the user's own share of them.

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
            for shift, weight in ((distance, 1.0), (-distance, self.backward)):
                near = padded[:, self.window + shift :][:, : history.shape[1]]  # (B, H)
                counts = counts - (neighbours == near[..., None]) * (weight * distance**-self.decay)
        return counts.clamp_min(0) * self.factors[history]

    def masses(self, depth: int, similarities: Tensor, ages: Tensor) -> Tensor:
        """What every neighbour adds to the mass of the depth-b prefix above it, 0 where an age is below 0.

        Args:
            depth: 1..L.
            similarities: (..., H, k), broadcastable with `ages`.
            ages: (..., H) items of the history that follow each; below 0 = not seen yet.

        Returns:
            (..., H * k), >= 0.
        """
        recency = self.recency[depth - 1].exp()
        by_age = recency[ages.clamp(0, self.recency.shape[1] - 1)] * (ages >= 0)
        return (by_age[..., None] * similarities).flatten(-2)

    def terms(self, depth: int, masses: Tensor) -> Tensor:
        """Logits (...) of depth-b prefixes of some mass (...), 0 where there is none."""
        return GAIN * self.trust * self.gains[depth - 1] * (self.log_scale[depth - 1].exp() * masses).log1p()
