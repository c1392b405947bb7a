"""Semantic drift of the same users under plain, guided and oracle-guided beam search, recorded user by user."""

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import Tensor

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.metrics.drift import prefix_hits
from promise.metrics.rescue import belief, true_rank
from promise.models.generator import Generator
from promise.search.beams import Step
from promise.search.cost import RewardCost
from promise.search.guided import GuidedSearch
from promise.search.protocols import Batch as SearchBatch
from promise.search.protocols import PathRewards, Ranking, UserRows, split
from promise.tasks.training import Targets

#: Length of the final lists that are compared.
LISTED = 10

#: The searches that are compared.
SEARCHES = ("plain", "guided", "oracle")

#: Who may sort a level's candidates, and by what.
JUDGES: dict[str, Callable[[Step], Tensor | None]] = {
    "reward": lambda step: step.rewards,
    "likelihood": lambda step: step.log_probs,
}


class OracleContext(NamedTuple):
    """What the judge computed of some users, and the true nodes (B, L+1) of these users."""

    inner: Any
    true: Tensor

    def select_users(self, rows: Any) -> "OracleContext":
        """The same for some of the users."""
        return OracleContext(self.inner.select_users(rows), self.true[rows])


class OracleRewards:
    """A judge that knows the target: above all candidates it puts the true prefix, the rest as another judge does.

    Whoever keeps the true prefix under that other judge keeps the same beams under the oracle.

    Args:
        inner: The other judge.

    Attributes:
        true: (B, L+1) trie nodes of the targets of the users who are searched for next, all at once.
    """

    def __init__(self, inner: PathRewards) -> None:
        self.inner = inner
        self.true = torch.empty(0, 0, dtype=torch.int64)

    @property
    def flops(self) -> RewardCost:
        return self.inner.flops

    @property
    def path_bytes(self) -> int:
        return self.inner.path_bytes

    def start(self, users: Any) -> OracleContext:
        """As the other judge."""
        return OracleContext(self.inner.start(users), self.true)

    def score(self, context: OracleContext, depth: int, nodes: Tensor) -> Tensor:
        """As the other judge, but infinite at the true prefix."""
        found = nodes == context.true[:, depth, None]
        return self.inner.score(context.inner, depth, nodes).float().masked_fill(found, torch.inf)

    def score_all(self, context: OracleContext, depth: int) -> Tensor:
        """As the other judge, but infinite at the true prefix."""
        rewards = self.inner.score_all(context.inner, depth).float()
        return rewards.scatter(1, context.true[:, depth, None], torch.inf)


@dataclass
class Drift:
    """What was recorded, users in ascending order.

    Attributes:
        users: (n,) user indices.
        teacher_forced: (n, L) bool, whether the likeliest allowed code after the true codes is the true one.
        free_running: (n, L) bool, the same for the codes of the greedy path.
        kept: Of each search (n, L) bool, whether it still has the true prefix at a depth.
        listed: Of each search (n,) bool, whether the target is among its first `LISTED` items.
        proposed: (n, L) bool, whether the true prefix is among the guided search's candidates.
        ranks: Of each judge (n, L) place of the true prefix among these candidates, 1 = first; NaN where it is none
            of them, or the judge was not asked.
        confidence: Of each judge (n, L) softmax of the score of its favourite; NaN likewise.
        right: Of each judge (n, L) bool, whether its favourite is the true prefix.
    """

    users: NDArray[np.int64]
    teacher_forced: NDArray[np.bool_]
    free_running: NDArray[np.bool_]
    proposed: NDArray[np.bool_]
    kept: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    listed: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    ranks: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    confidence: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    right: dict[str, NDArray[np.bool_]] = field(default_factory=dict)


class DriftRecorder(LightningModule):
    """Lets the searches run for every user of the test loader and records where each has lost the target.

    Greedy paths are drawn from the whole catalogue, also where the searches may not return all of it.

    Args:
        guided: The guided search.
        plain: A plain beam search to compare it with.
        generator: The generator of both.
        trie: The catalogue's trie.

    Raises:
        ValueError: If the guided search has no reward model.
    """

    def __init__(self, *, guided: GuidedSearch, plain: GuidedSearch, generator: Generator, trie: Trie) -> None:
        super().__init__()
        if not guided.judge.depths:
            raise ValueError("drift needs a guided search whose reward model acts, got a plain one")
        self.steps: list[Step] = []
        self.guided = copy(guided)
        self.guided.observer = self.steps.append
        self.plain = plain
        self.oracle = oracle_of(guided)
        self.greedy = GuidedSearch(1, generator=generator, reward=None, trie=trie)
        self.generator = generator
        self.trie = trie
        self.items = Targets(trie)
        self.found: list[dict[str, NDArray[np.generic]]] = []

    def test_step(self, batch: Batch, index: int) -> None:
        # Parts of the batch that no search cuts further: steps and oracle then belong to all users of a part.
        for part, users in split(batch, self.guided.users_at_once):
            columns = {"users": batch.users[part], **self.record(users, batch.targets[part, 0])}
            self.found.append({name: column.cpu().numpy() for name, column in columns.items()})

    @torch.inference_mode()
    def record(self, users: UserRows, targets: Tensor) -> dict[str, Tensor]:
        """Columns of a part of a batch, by the names of `Drift` (`kept.plain`): (B,) or (B, L).

        Args:
            users: The users, no more than the guided search takes at once.
            targets: (B,) item indices.
        """
        true, codes = self.items.nodes[targets], self.items.codes[targets]
        self.steps.clear()
        oracle, oracle_rewards = self.oracle
        oracle_rewards.true = true
        found: dict[str, Ranking] = {
            "plain": self.plain.rank(users, LISTED),
            "guided": self.guided.rank(users, LISTED),
            "oracle": oracle.rank(users, LISTED),
        }
        path = self.items.codes[self.greedy.rank(users, 1).items[:, 0]]
        columns = {
            "teacher_forced": likeliest_codes(self.generator, users, targets, self.items, self.trie) == codes,
            "free_running": path == codes,
            "proposed": per_level(prefix_hits(step.nodes, true[:, step.depth]) for step in self.steps),
        }
        for name, ranking in found.items():
            columns[f"kept.{name}"] = per_level(
                prefix_hits(kept, true[:, depth]) for depth, kept in enumerate(ranking.kept, 1)
            )
            columns[f"listed.{name}"] = (ranking.items == targets[:, None]).any(1)
        for name, scores_of in JUDGES.items():
            judged = [judgement(scores_of(step), step.nodes, true[:, step.depth]) for step in self.steps]
            for column, values in zip(("ranks", "confidence", "right"), zip(*judged, strict=True), strict=True):
                columns[f"{column}.{name}"] = per_level(values)
        return columns

    def result(self) -> Drift:
        """All that was recorded."""
        columns = {name: np.concatenate([part[name] for part in self.found]) for name in self.found[0]}
        order = np.argsort(columns["users"])
        fields: dict[str, Any] = {}
        for name, column in columns.items():
            group, _, member = name.partition(".")
            if member:
                fields.setdefault(group, {})[member] = column[order]
            else:
                fields[group] = column[order]
        return Drift(**fields)


def oracle_of(guided: GuidedSearch) -> tuple[GuidedSearch, OracleRewards]:
    """The same search under a judge that knows the target, and this judge; `guided` stays as it is."""
    assert guided.judge.reward is not None
    rewards = OracleRewards(guided.judge.reward)
    search = copy(guided)
    search.judge, search.observer = replace(guided.judge, reward=rewards), None
    return search, rewards


def judgement(scores: Tensor | None, nodes: Tensor, true: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Place of the true prefix (B,), confidence (B,) in the favourite and whether it is right (B,), by some scores.

    Args:
        scores: (B, C); None = this judge was not asked.
        nodes: (B, C) trie nodes, -1 = no candidate.
        true: (B,) trie node.
    """
    if scores is None:
        missing = torch.full(true.shape, torch.nan, dtype=torch.float64, device=true.device)
        return missing, missing, torch.zeros_like(true, dtype=torch.bool)
    confidence, right = belief(scores, nodes, true)
    return true_rank(scores, nodes, true), confidence, right


def per_level(values: Iterable[Tensor]) -> Tensor:
    """L columns (B,) as (B, L)."""
    return torch.stack(tuple(values), dim=1)


def likeliest_codes(generator: Generator, users: SearchBatch, targets: Tensor, items: Targets, trie: Trie) -> Tensor:
    """Likeliest allowed codes (B, L), each after the true ones of the targets (B,)."""
    states = generator.encode(users.history, users.lengths)
    last = (states.lengths - 1).unsqueeze(1)
    guesses = []
    for depth, logits in enumerate(generator.teacher_forced(states, last, items.codes[targets].unsqueeze(1))):
        allowed = trie.allowed(depth, items.nodes[targets, depth])
        guesses.append(logits[:, 0].masked_fill(~allowed, -torch.inf).argmax(-1))
    return torch.stack(guesses, 1)
