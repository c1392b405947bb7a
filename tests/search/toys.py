"""Networks out of random tables: a proposer and a judge whose every number can be looked up."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

FEATURES = 4


class ToyFlops:
    """Round numbers, so that a cost can be written down by hand."""

    def encode(self, history: Sequence[int]) -> int:
        return 100 * sum(history)

    def start(self, history: Sequence[int]) -> int:
        return 10 * len(history)

    def next_code(self, history: Sequence[int], rows: int | Sequence[int], level: int) -> int:
        return 1000 * (rows * len(history) if isinstance(rows, int) else sum(rows)) * (level + 1)

    def score(self, history: Sequence[int], paths: int | Sequence[int]) -> int:
        return 3 * (paths * len(history) if isinstance(paths, int) else sum(paths))


class ToyCodes:
    """Next codes from tables: logits of a path = user features (B, F) times a random row of that path."""

    row_bytes = 64

    def __init__(self, sizes: tuple[int, ...], item_features: Tensor, tables: list[Tensor], history: int) -> None:
        self.sizes, self.item_features, self.tables, self.history = sizes, item_features, tables, history
        self.flops, self.row_bytes, self.path_bytes = ToyFlops(), 100, 100

    def encode(self, history: Tensor, lengths: Tensor) -> Tensor:
        recency = lengths[:, None] - 1 - torch.arange(history.shape[1])  # 0 at the last item
        votes = torch.where((recency >= 0) & (recency < self.history), 0.5**recency, 0.0)
        return (votes[..., None] * self.item_features[history]).sum(1)

    def start(self, users: Tensor) -> tuple[Tensor, int, Tensor]:
        return users, 0, torch.zeros(len(users), 1, dtype=torch.int64)

    def next_code(
        self, cache: tuple[Tensor, int, Tensor], parents: Tensor, codes: Tensor, needed: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        users, depth, before = cache
        paths = before  # (B, W) each path as one number
        if depth:
            paths = before.gather(1, parents) * self.sizes[depth - 1] + codes
        logits = torch.einsum("bf,bwkf->bwk", users, self.tables[depth][paths])
        if needed is not None:  # whoever reads what was not asked for shall notice
            logits = logits.masked_fill(~needed.unsqueeze(-1), 1e9)
        return logits, (users, depth + 1, paths)


class ToyRewards:
    """Rewards from tables: user features times a random row of the trie's node."""

    path_bytes = 16

    def __init__(self, tables: list[Tensor]) -> None:
        self.tables = tables
        self.flops, self.row_bytes, self.path_bytes = ToyFlops(), 100, 100

    def start(self, users: Tensor) -> Tensor:
        return users

    def score(self, context: Tensor, depth: int, nodes: Tensor) -> Tensor:
        return torch.einsum("bf,bcf->bc", context, self.tables[depth][nodes])

    def score_all(self, context: Tensor, depth: int) -> Tensor:
        return context @ self.tables[depth].T


class Poisoned:
    """A network that answers NaN, or another value, where it is told to.

    Args:
        inner: The network.
        where: (level, row) -> places in the row of the answer, at that level 1..L.
        value: What it answers there.
    """

    def __init__(self, inner: Any, where: dict[tuple[int, int], slice], value: float = math.nan) -> None:
        self.inner, self.where, self.value = inner, where, value
        self.flops, self.history = inner.flops, getattr(inner, "history", 0)
        self.encode = getattr(inner, "encode", None)
        self.row_bytes = self.path_bytes = 1

    def spoil(self, level: int, answer: Tensor) -> Tensor:
        for (at, row), places in self.where.items():
            if at == level:
                answer[row, places] = self.value
        return answer


class PoisonedCodes(Poisoned):
    def start(self, users: Any) -> Any:
        return self.inner.start(users), 1

    def next_code(self, cache: Any, *given: Any) -> tuple[Tensor, Any]:
        logits, after = self.inner.next_code(cache[0], *given)
        return self.spoil(cache[1], logits), (after, cache[1] + 1)


class PoisonedRewards(Poisoned):
    def start(self, users: Any) -> Any:
        return self.inner.start(users)

    def score(self, context: Any, depth: int, nodes: Tensor) -> Tensor:
        return self.spoil(depth, self.inner.score(context, depth, nodes))

    def score_all(self, context: Any, depth: int) -> Tensor:
        return self.spoil(depth, self.inner.score_all(context, depth))
