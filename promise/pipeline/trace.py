"""One user's plain and guided search as tables: what each level keeps, in words, and where the target is lost."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import torch

from promise.data.datasets import EvaluationDataset
from promise.data.distinctive_terms import DistinctiveTerms
from promise.pipeline.browsing import item_table, items_below, spelled
from promise.pipeline.drift import searches
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline
from promise.tasks.trace import LevelTrace, Trace, traced

MARK = "✓"
TARGET = "◀ target"


@dataclass(frozen=True)
class UserTrace:
    """The tables of one user.

    Attributes:
        pipeline: Gives texts and IDs.
        user: User index.
        trace: What both searches did.
    """

    pipeline: Pipeline
    user: int
    trace: Trace

    @property
    def prefixes(self) -> pl.DataFrame:
        """Every prefix that a search met, for the figure: level, log_prob, reward, candidate, plain, guided, target."""
        names = ("log_prob", "reward", "candidate", "plain", "guided", "target")
        return pl.concat(
            pl.DataFrame({"level": np.full(len(level.nodes), level.depth), **dict(zip(names, level[2:], strict=True))})
            for level in self.trace.levels
        )

    @property
    def levels(self) -> pl.DataFrame:
        """The target's way down: who keeps its prefix, and its place among the guided search's candidates.

        `last_kept` is the log-probability of the least likely prefix that the plain search keeps.
        """
        return pl.DataFrame(
            [
                {
                    "level": level.depth,
                    "prefix": self.prefix(level, int(level.nodes[level.target][0])),
                    "log_prob": float(level.log_probs[level.target][0]),
                    "last_kept": float(level.log_probs[level.plain].min(initial=np.inf)),
                    "plain": MARK if level.plain[level.target].any() else "lost",
                    "candidates": int(level.candidates.sum()),
                    "place_by_likelihood": level.place(level.log_probs),
                    "place_by_reward": level.place(level.rewards),
                    "guided": MARK if level.guided[level.target].any() else "lost",
                }
                for level in self.trace.levels
            ],
            infer_schema_length=None,
        )

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
        if not 1 <= depth <= len(self.trace.levels):
            raise ValueError(f"depth must lie in 1..{len(self.trace.levels)}, got {depth}")
        level, rows = self.trace.levels[depth - 1], []
        some = level.plain | level.guided if both else level.plain ^ level.guided
        shown = np.flatnonzero(some | level.target)
        for row in shown[np.argsort(-level.rewards[shown], kind="stable")]:
            below = items_below(self.pipeline, depth, int(level.nodes[row]))
            rows.append(
                {
                    "prefix": self.prefix(level, int(level.nodes[row])),
                    "items": len(below),
                    "holds": self.terms.of(below),
                    "log_prob": float(level.log_probs[row]),
                    "reward": float(level.rewards[row]),
                    "plain": MARK if level.plain[row] else "",
                    "guided": MARK if level.guided[row] else "",
                    "": TARGET if level.target[row] else "",
                }
            )
        return pl.DataFrame(rows)

    @property
    def answers(self) -> pl.DataFrame:
        """What the two searches return, best first: rank, text of the plain search's item, of the guided one's."""
        found = {"plain": self.trace.plain, "guided": self.trace.guided}
        columns: dict[str, object] = {"rank": range(1, 1 + len(self.trace.guided))}
        for name, items in found.items():
            columns[name] = item_table(self.pipeline, items)["text"]
            columns[f"{name} hit"] = [TARGET if item == self.trace.target else "" for item in items]
        return pl.DataFrame(columns)

    @cached_property
    def terms(self) -> DistinctiveTerms:
        """Names groups of items."""
        return DistinctiveTerms(self.pipeline.interactions.items["text"].to_list())

    def prefix(self, level: LevelTrace, node: int) -> str:
        """A node's codes as a reader sees them."""
        item = items_below(self.pipeline, level.depth, node)[0]
        return spelled(self.pipeline.ids.codes[item, : level.depth])


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
    return UserTrace(pipeline, user, traced(batch, int(batch.targets[0, 0]), guided, beam, pipeline.networks[0]))
