"""The one evaluator: lets any ranker rank, measures the ranks of the targets, and counts what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import Tensor

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.metrics.drift import prefix_hits
from promise.metrics.ranking import target_ranks
from promise.search.cost import Cost
from promise.search.protocols import Ranker, Ranking
from promise.search.scoring import shaped
from promise.tasks.training import Targets


@dataclass
class EvaluationResult:
    """Result of an evaluation: every user's answer, and figures over all of them.

    Attributes:
        users: (n,) user indices, ascending.
        targets: (n,) item indices.
        ranks: (n,) 0-based rank of each target, `NOT_RANKED` where it isn't in the list.
        items: (n, k) ranked items, -1 = none.
        scores: (n, k) their scores, -inf where there is none.
        shares: `recall_ceiling`, the share of users whose target was among the candidates of the last level, and
            `certified`, that of the users whose answer is proved to be the best; only those that the ranker tells.
        kept: (n, L) whether the target's own prefix was kept, by level; None for a ranker that keeps no prefixes.
        hrecall: Share of users whose true prefix was kept, one per level; empty likewise.
        invalid_rate: Share of returned entries that name no item of the catalogue.
        duplicate_rate: Share of returned entries that repeat an earlier one of their list.
        cost: Sums over the users.
    """

    users: NDArray[np.int64]
    targets: NDArray[np.int64]
    ranks: NDArray[np.int64]
    items: NDArray[np.int64]
    scores: NDArray[np.float32]
    shares: dict[str, float]
    kept: NDArray[np.bool_] | None
    hrecall: list[float]
    invalid_rate: float
    duplicate_rate: float
    cost: Cost


class RankingEvaluator(LightningModule):
    """Ranks the items of every user of the test loader and measures the answer.

    Args:
        k: Length of the answers that are kept.
        ranker: Anything that ranks.
        trie: The catalogue's trie; None for a ranker without one.
        item_count: Items of the catalogue.
        depth: Items that the ranker is asked for, and how deep the ranks go, >= k; None = k.
    """

    def __init__(
        self, k: int, *, ranker: Ranker, item_count: int, trie: Trie | None = None, depth: int | None = None
    ) -> None:
        super().__init__()
        self.k, self.depth = k, depth or k
        self.ranker, self.item_count = ranker, item_count
        self.items = Targets(trie) if trie else None
        self.found: list[tuple[NDArray[np.generic], ...]] = []
        self.entries = torch.zeros(3, dtype=torch.int64)  # returned, invalid, duplicate
        self.cost = Cost()

    def test_step(self, batch: Batch, index: int) -> None:
        ranking, name = self.ranker.rank(batch, self.depth), f"{type(self.ranker).__name__}.rank"
        if not isinstance(ranking, Ranking):
            raise ValueError(f"{name} must give a Ranking, got {type(ranking).__name__}")
        for what in ("items", "scores"):
            shaped(f"{what} of {name}", getattr(ranking, what), (len(batch.targets), *np.shape(ranking.items)[-1:]))
        self.cost = self.cost + ranking.cost
        self.entries += count_entries(ranking.items, self.item_count).cpu()
        targets = batch.targets[:, 0]
        kept = within = certified = targets.new_zeros(len(targets), 0, dtype=torch.bool)
        if self.items:
            nodes = self.items.nodes[targets]  # (B, L+1)
            if ranking.kept:
                kept = torch.stack([prefix_hits(each, nodes[:, d]) for d, each in enumerate(ranking.kept, 1)], 1)
            if ranking.candidates is not None:
                within = prefix_hits(ranking.candidates, nodes[:, -1])[:, None]
        if ranking.certified is not None:
            certified = ranking.certified[:, None]
        ranks, answer = target_ranks(ranking.items, targets), (ranking.items[:, : self.k], ranking.scores[:, : self.k])
        columns = (batch.users, targets, ranks, *answer, kept, within, certified)
        self.found.append(tuple(column.cpu().numpy() for column in columns))

    def result(self) -> EvaluationResult:
        """The result over all processes, users in ascending order."""
        found, entries, cost = self.found, self.entries, self.cost
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            parts: list[Any] = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, (found, entries, cost))
            found = [batch for part in parts for batch in part[0]]
            entries = torch.stack([part[1] for part in parts]).sum(0)
            cost = sum((part[2] for part in parts), Cost())
        order = np.argsort(np.concatenate([batch[0] for batch in found]))
        fills = (0, 0, 0, -1, -np.inf, *[False] * 3)
        columns: Any = [joined(parts, fill)[order] for parts, fill in zip(zip(*found, strict=True), fills, strict=True)]
        users, targets, ranks, items, scores, kept, within, certified = columns
        returned, invalid, duplicate = entries.tolist()
        shares = {"recall_ceiling": within, "certified": certified}
        return EvaluationResult(
            users=users,
            targets=targets,
            ranks=ranks,
            items=items,
            scores=scores.astype(np.float32),
            shares={name: float(each.mean()) for name, each in shares.items() if each.shape[1]},
            kept=kept if kept.shape[1] else None,
            hrecall=kept.mean(0).tolist(),
            invalid_rate=invalid / max(1, returned),
            duplicate_rate=duplicate / max(1, returned),
            cost=cost,
        )


def count_entries(items: Tensor, item_count: int) -> Tensor:
    """Returned, invalid and duplicate entries of ranked lists (B, k): three integers.

    >>> count_entries(torch.tensor([[4, 4, 9, -1]]), 5).tolist()
    [3, 1, 1]
    """
    returned = items != -1
    invalid = returned & ((items < 0) | (items >= item_count))
    ordered = items.masked_fill(~returned, -1).sort(-1).values
    repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != -1)
    return torch.stack([returned.sum(), invalid.sum(), repeated.sum()])


def joined(parts: Sequence[NDArray[np.generic]], fill: float) -> NDArray[np.generic]:
    """Parts (B,) or (B, k) one below the other, rows filled up to the longest."""
    width = max(part.shape[-1] for part in parts)
    return np.concatenate(
        [np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=fill) if part.ndim > 1 else part
         for part in parts]
    )  # fmt: skip
