"""One user's plain and guided search as tables: what each level keeps, in words, and where the target is lost."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from promise.data.datasets import EvaluationDataset
from promise.data.distinctive_terms import DistinctiveTerms
from promise.pipeline.browsing import item_table, items_below, spelled
from promise.pipeline.drift import searches
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline
from promise.tasks.trace import traced

MARK = "✓"
TARGET = "◀ target"


@dataclass(frozen=True)
class UserTrace:
    """The tables of one user.

    Attributes:
        pipeline: Gives texts and IDs.
        target: Item index.
        prefixes: Every prefix that a search met: see `promise.tasks.trace.traced`.
        returned: Items that the plain and the guided search return.
    """

    pipeline: Pipeline
    target: int
    prefixes: pl.DataFrame
    returned: dict[str, list[int]]

    @property
    def levels(self) -> pl.DataFrame:
        """The target's way down: who keeps its prefix, and its place among the guided search's candidates.

        `last_kept` is the log-probability of the least likely prefix that the plain search keeps.
        """
        rows = []
        for (level,), met in self.prefixes.group_by("level", maintain_order=True):
            own = met.row(by_predicate=pl.col("target"), named=True)
            candidates = met.filter("candidate")
            likelihood, reward = (
                int((candidates[score] > own[score]).sum()) + 1 if own["candidate"] else None
                for score in ("log_prob", "reward")
            )
            rows.append(
                {
                    "level": level,
                    "prefix": spelled(self.pipeline.ids.codes[self.target, :level]),
                    "log_prob": own["log_prob"],
                    "last_kept": met.filter("plain")["log_prob"].min(),
                    "plain": MARK if own["plain"] else "lost",
                    "candidates": len(candidates),
                    "place_by_likelihood": likelihood,
                    "place_by_reward": reward,
                    "guided": MARK if own["guided"] else "lost",
                }
            )
        return pl.DataFrame(rows, infer_schema_length=None)

    def kept(self, depth: int, both: bool = True) -> pl.DataFrame:
        """The prefixes that a search keeps at a level, and the target's own, in the order of their rewards.

        Args:
            depth: 1..L.
            both: Whether to show those that both keep.

        Returns:
            Prefix, number of items below it, what they have in common, log-probability, reward, who keeps it.

        Raises:
            ValueError: If there is no such level.
        """
        most = self.pipeline.trie.levels
        if not 1 <= depth <= most:
            raise ValueError(f"depth must lie in 1..{most}, got {depth}")
        plain, guided = pl.col("plain"), pl.col("guided")
        some = (plain | guided) if both else plain ^ guided
        shown = self.prefixes.filter(some | pl.col("target"), level=depth).sort(
            "reward", descending=True, maintain_order=True
        )
        below = [items_below(self.pipeline, depth, node) for node in shown["node"]]
        terms = DistinctiveTerms(self.pipeline.interactions.items["text"].to_list())
        return shown.select(
            pl.Series("prefix", [spelled(self.pipeline.ids.codes[items[0], :depth]) for items in below]),
            pl.Series("items", [len(items) for items in below]),
            pl.Series("holds", [terms.of(items) for items in below]),
            "log_prob",
            "reward",
            *(pl.when(name).then(pl.lit(MARK)).otherwise(pl.lit("")).alias(name) for name in ("plain", "guided")),
            pl.when("target").then(pl.lit(TARGET)).otherwise(pl.lit("")).alias(""),
        )

    @property
    def answers(self) -> pl.DataFrame:
        """The lists of the two searches, best first: rank, text of the plain search's item, of the guided one's."""
        columns: dict[str, object] = {"rank": range(1, 1 + len(self.returned["guided"]))}
        for name, items in self.returned.items():
            columns[name] = item_table(self.pipeline, items)["text"]
            columns[f"{name} hit"] = [TARGET if item == self.target else "" for item in items]
        return pl.DataFrame(columns)


def trace_user(point: Point, user: int) -> UserTrace:
    """Search for one user as the point does, and as a plain beam of its width does, on the CPU.

    Args:
        point: A guided search; `analysis=drift` is among its words, so that it has been checked for two searches.
        user: User index.

    Raises:
        ValueError: If the words lack `analysis=drift`, or there is no such user.
    """
    pipeline, cfg = point.pipeline, point.pipeline.cfg
    if cfg.analysis != "drift":
        raise ValueError(f"a trace needs analysis=drift, got {cfg.analysis}")
    if not 0 <= user < len(pipeline.histories):
        raise ValueError(f"user must lie in 0..{len(pipeline.histories) - 1}, got {user}")
    batch = EvaluationDataset(pipeline.histories, cfg.split, np.array([user]))[np.array([0])]
    guided, beam = searches(point, torch.device("cpu"))
    target = int(batch.targets[0, 0])
    return UserTrace(pipeline, target, *traced(batch, target, guided, beam, pipeline.networks[0]))
