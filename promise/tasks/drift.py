"""Semantic drift of the same users under plain, guided and oracle-guided beam search, recorded user by user."""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import polars as pl
import polars.selectors as cs
import torch
from lightning.pytorch import LightningModule
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
from promise.search.protocols import PathRewards, UserRows, split
from promise.tasks.training import Targets

#: Length of the final lists that are compared.
LISTED = 10

#: The searches that are compared.
SEARCHES = ("plain", "guided", "oracle")

#: What the oracle gives to the true prefix: above any reward, and finite in every blend.
ABOVE_ALL = 1e30

#: Who may sort a level's candidates, and by what.
JUDGES: dict[str, Callable[[Step], Tensor | None]] = {
    "reward": lambda step: step.rewards,
    "likelihood": lambda step: step.log_probs,
}


class OracleContext(NamedTuple):
    """Context of the judge for some users, and the true nodes (B, L+1) of these users."""

    inner: Any
    true: Tensor

    def select_users(self, rows: Any) -> "OracleContext":
        """The same for some of the users."""
        return OracleContext(self.inner.select_users(rows), self.true[rows])


class OracleRewards:
    """A judge that knows the target: above all candidates it puts the true prefix, the rest as another judge does.

    Whoever keeps the true prefix under that other judge keeps the same beams under the oracle.

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
        """As the other judge, but `ABOVE_ALL` at the true prefix."""
        found = nodes == context.true[:, depth, None]
        return self.inner.score(context.inner, depth, nodes).float().masked_fill(found, ABOVE_ALL)


class DriftRecorder(LightningModule):
    """Lets the searches run for every user of the test loader and records where each has lost the target.

    Greedy paths are drawn from the whole catalogue, also where the searches may not return all of it.

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
        self.oracle, self.oracle_rewards = oracle_of(guided)
        self.searches = dict(zip(SEARCHES, (plain, self.guided, self.oracle), strict=True))
        self.greedy = GuidedSearch(1, generator=generator, reward=None, trie=trie)
        self.generator = generator
        self.trie = trie
        self.items = Targets(trie)
        self.found: list[pl.DataFrame] = []

    def test_step(self, batch: Batch, index: int) -> None:
        # Parts of the batch that no search cuts further: steps and oracle then belong to all users of a part.
        for part, users in split(batch, self.guided.users_at_once):
            self.found += self.record(batch.users[part], users, batch.targets[part, 0])

    @torch.inference_mode()
    def record(self, numbers: Tensor, users: UserRows, targets: Tensor) -> Iterator[pl.DataFrame]:
        """The rows of `result` for a part of a batch, one table for each depth and one for the final lists.

        Args:
            numbers: (B,) user indices.
            users: Their histories, no more than the guided search takes at once.
            targets: (B,) item indices.
        """
        true, codes = self.items.nodes[targets], self.items.codes[targets]
        self.steps.clear()
        self.oracle_rewards.true = true
        found = {name: search.rank(users, LISTED) for name, search in self.searches.items()}
        forced = likeliest_codes(self.generator, users, targets, self.items, self.trie) == codes
        free = self.items.codes[self.greedy.rank(users, 1).items[:, 0]] == codes
        of_user = {"user": numbers, "first_error": free.long().cumprod(1).sum(1) + 1}
        for step in self.steps:
            depth, own = step.depth, true[:, step.depth]
            columns = {
                **of_user,
                "teacher_forced": forced[:, depth - 1],
                "free_running": free[:, depth - 1],
                "proposed": prefix_hits(step.nodes, own),
                **{name: prefix_hits(ranking.kept[depth - 1], own) for name, ranking in found.items()},
            }
            for name, scores_of in JUDGES.items():
                if (scores := scores_of(step)) is not None:
                    columns[f"{name}_rank"] = true_rank(scores, step.nodes, own)
                    columns[f"{name}_confidence"], columns[f"{name}_right"] = belief(scores, step.nodes, own)
            yield as_table(depth, columns)
        listed = {name: (ranking.items == targets[:, None]).any(1) for name, ranking in found.items()}
        yield as_table(None, {**of_user, **listed})

    def result(self) -> pl.DataFrame:
        """All that was recorded: L rows for the depths of each user, and one of depth null for the final lists.

        Columns:
            user: User index; rows are sorted by it, then by depth.
            depth: 1..L or null; all columns below `oracle` are null where it is.
            first_error: Depth of the greedy path's first wrong code, L + 1 where there is none.
            plain, guided, oracle: Whether this search still has the true prefix; in the row of the final lists whether
                the target is among its first `LISTED` items.
            teacher_forced: Whether the likeliest allowed code after the true codes is the true one.
            free_running: The same for the code of the greedy path.
            proposed: Whether the true prefix is among the guided search's candidates.
            JUDGE_rank: Place of the true prefix among these candidates, 1 = first; null where it is none of them, or
                the judge was not asked.
            JUDGE_confidence: Softmax of the score of the judge's favourite; null likewise.
            JUDGE_right: Whether the favourite is the true prefix; null where the judge was not asked.
        """
        return pl.concat([EMPTY, *self.found], how="diagonal").sort("user", "depth", nulls_last=True)


#: The columns of a record, in order.
EMPTY = pl.DataFrame(
    schema={
        **dict.fromkeys(("user", "depth", "first_error"), pl.Int64),
        **dict.fromkeys((*SEARCHES, "teacher_forced", "free_running", "proposed"), pl.Boolean),
        **{f"{judge}_{name}": pl.Float64 for judge in JUDGES for name in ("rank", "confidence")},
        **{f"{judge}_right": pl.Boolean for judge in JUDGES},
    }
)


def as_table(depth: int | None, columns: dict[str, Tensor]) -> pl.DataFrame:
    """Columns (B,) as a table, NaN as null, with the depth that they are of."""
    table = pl.DataFrame({name: values.cpu().numpy() for name, values in columns.items()})
    return table.with_columns(cs.float().fill_nan(None), depth=pl.lit(depth, pl.Int64))


def oracle_of(guided: GuidedSearch) -> tuple[GuidedSearch, OracleRewards]:
    """The same search under a judge that knows the target, and this judge; `guided` stays as it is."""
    assert guided.judge.reward is not None
    rewards = OracleRewards(guided.judge.reward)
    search = copy(guided)
    search.judge, search.observer = replace(guided.judge, reward=rewards), None
    return search, rewards


def likeliest_codes(generator: Generator, users: SearchBatch, targets: Tensor, items: Targets, trie: Trie) -> Tensor:
    """Likeliest allowed codes (B, L), each after the true ones of the targets (B,)."""
    states = generator.encode(users.history, users.lengths)
    last = (states.lengths - 1).unsqueeze(1)
    found = []
    for depth, logits in enumerate(generator.teacher_forced(states, last, items.codes[targets].unsqueeze(1))):
        allowed = trie.allowed(depth, items.nodes[targets, depth])
        found.append(logits[:, 0].masked_fill(~allowed, -torch.inf).argmax(-1))
    return torch.stack(found, 1)
