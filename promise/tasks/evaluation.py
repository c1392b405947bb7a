"""The one evaluator: lets any ranker rank, measures the ranks of the targets, and counts what it cost."""

from dataclasses import dataclass, field

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import Tensor

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.metrics.drift import LevelShares, prefix_hits
from promise.metrics.ranking import ranking_metrics, target_ranks
from promise.models.generator import Generator
from promise.search.cost import Cost
from promise.search.guided import GuidedSearch
from promise.search.protocols import Ranker
from promise.tasks.drift import likeliest_codes
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
        metrics: recall@k, ndcg@k.
        shares: `recall_ceiling`, the share of users whose target was among the candidates of the last level, and
            `certified`, that of the users whose answer is proved to be the best; only those that the ranker tells.
        kept: (n, L) whether the target's own prefix was kept, by level; None for a ranker that keeps no prefixes.
        hrecall: Share of users whose true prefix was kept, one per level; empty likewise.
        teacher_forced: Share of codes predicted right given the true codes before; empty unless asked for.
        free_running: The same, each code given the model's own codes before.
        invalid_rate: Share of returned entries that name no item of the catalogue.
        duplicate_rate: Share of returned entries that repeat an earlier one of their list.
        cost: Sums over the users.
    """

    users: NDArray[np.int64]
    targets: NDArray[np.int64]
    ranks: NDArray[np.int64]
    items: NDArray[np.int64]
    scores: NDArray[np.float32]
    metrics: dict[str, float]
    shares: dict[str, float] = field(default_factory=dict)
    kept: NDArray[np.bool_] | None = None
    hrecall: list[float] = field(default_factory=list)
    teacher_forced: list[float] = field(default_factory=list)
    free_running: list[float] = field(default_factory=list)
    invalid_rate: float = 0.0
    duplicate_rate: float = 0.0
    cost: Cost = field(default_factory=Cost)


class RankingEvaluator(LightningModule):
    """Ranks the items of every user of the test loader and measures the answer.

    Args:
        ks: Lengths k of recall@k and NDCG@k.
        ranker: Anything that ranks.
        trie: The catalogue's trie; None for a ranker without one.
        drift_of: A generator whose level accuracy is measured beside the ranking; None = not measured.
        item_count: Items of the catalogue.
        depth: Items that the ranker is asked for, >= every k; None = the largest k. The answers that are kept have the
            largest k, the ranks go as deep.

    Raises:
        ValueError: If drift is asked for without a trie.
    """

    def __init__(
        self,
        ks: list[int],
        *,
        ranker: Ranker,
        item_count: int,
        trie: Trie | None = None,
        drift_of: Generator | None = None,
        depth: int | None = None,
    ) -> None:
        super().__init__()
        if drift_of is not None and trie is None:
            raise ValueError("drift_of needs a trie, got none")
        self.longest, self.depth = max(ks), depth or max(ks)
        self.ranker = ranker
        self.item_count = item_count
        self.items = Targets(trie) if trie else None
        self.drift_of = drift_of
        if drift_of is not None and trie is not None:
            self.greedy = GuidedSearch(1, 1, None, 0.0, 1.0, generator=drift_of, reward=None, trie=trie)
            self.teacher, self.free = LevelShares(trie.levels), LevelShares(trie.levels)
        self.trie = trie
        self.metrics = ranking_metrics(ks)
        self.hrecall = LevelShares(trie.levels) if trie else None
        self.recall_ceiling, self.certified = LevelShares(1), LevelShares(1)
        self.found: list[tuple[NDArray[np.generic], ...]] = []
        self.entries = torch.zeros(3, dtype=torch.int64)  # returned, invalid, duplicate
        self.cost = Cost()

    def test_step(self, batch: Batch, index: int) -> None:
        ranking = self.ranker.rank(batch, self.depth)
        targets = batch.targets[:, 0]
        ranks = target_ranks(ranking.items, targets)
        self.metrics.update(ranks)
        self.cost = self.cost + ranking.cost
        self.entries += count_entries(ranking.items, self.item_count).cpu()
        hits = targets.new_zeros(len(targets), 0, dtype=torch.bool)
        if self.items and ranking.candidates is not None:
            self.recall_ceiling.update(prefix_hits(ranking.candidates, self.items.nodes[targets, -1])[:, None])
        if ranking.certified is not None:
            self.certified.update(ranking.certified[:, None])
        if self.items and self.hrecall and ranking.kept:
            nodes = self.items.nodes[targets]  # (B, L+1)
            by_level = [prefix_hits(kept, nodes[:, d]) for d, kept in enumerate(ranking.kept, 1)]
            self.hrecall.update(torch.stack(by_level, dim=1))
            hits = torch.stack(by_level, dim=1)
        if self.drift_of is not None:
            self.measure_drift(batch)
        listed = (ranking.items[:, : self.longest], ranking.scores[:, : self.longest])
        columns = (batch.users, targets, ranks, *listed, hits)
        self.found.append(tuple(column.cpu().numpy() for column in columns))

    @torch.inference_mode()
    def measure_drift(self, batch: Batch) -> None:
        """Accuracy per level of the likeliest allowed code, after the true codes and after the model's own."""
        assert self.drift_of is not None and self.items is not None and self.trie is not None
        targets = batch.targets[:, 0]
        true = self.items.codes[targets]  # (B, L)
        self.teacher.update(likeliest_codes(self.drift_of, batch, targets, self.items, self.trie) == true)
        self.free.update(self.items.codes[self.greedy.rank(batch, 1).items[:, 0]] == true)

    def result(self) -> EvaluationResult:
        """The result over all processes, users in ascending order."""
        found, entries, cost = self.found, self.entries, self.cost
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            parts: list[tuple[list[tuple[NDArray[np.generic], ...]], Tensor, Cost]] = [
                ([], entries, cost)
            ] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, (found, entries, cost))
            found = [batch for part in parts for batch in part[0]]
            entries = torch.stack([part[1] for part in parts]).sum(0)
            cost = sum((part[2] for part in parts), Cost())
        width = max(batch[3].shape[1] for batch in found)
        users, targets, ranks = (np.concatenate([batch[c] for batch in found]) for c in range(3))
        levels = max(batch[5].shape[1] for batch in found)
        kept = np.concatenate([padded(batch[5], levels, False) for batch in found])  # a fallback keeps no prefix
        items = np.concatenate([padded(batch[3], width, -1) for batch in found])
        scores = np.concatenate([padded(batch[4], width, -np.inf) for batch in found])
        order = np.argsort(users)
        shares = {"recall_ceiling": self.recall_ceiling, "certified": self.certified}
        returned, invalid, duplicate = entries.tolist()
        drift = self.drift_of is not None
        return EvaluationResult(
            users=users[order],
            targets=targets[order],
            ranks=ranks[order],
            items=items[order],
            scores=scores[order].astype(np.float32),
            metrics={name: float(value) for name, value in self.metrics.compute().items()},
            shares={name: float(share.compute()) for name, share in shares.items() if share.update_called},
            kept=kept[order] if levels else None,
            hrecall=self.hrecall.compute().tolist() if self.hrecall and self.hrecall.update_called else [],
            teacher_forced=self.teacher.compute().tolist() if drift else [],
            free_running=self.free.compute().tolist() if drift else [],
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


def padded(values: NDArray[np.generic], width: int, fill: float) -> NDArray[np.generic]:
    """Rows (B, k) filled up to (B, width)."""
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=fill)
