"""One user's plain and guided search as tables: what each level keeps, in words, and where the target is lost."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from promise.data.datasets import EvaluationDataset
from promise.data.distinctive_terms import DistinctiveTerms
from promise.pipeline.browsing import item_table, items_below, require_user, spelled
from promise.pipeline.drift import searches
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline
from promise.search.explanation import stepped
from promise.search.options import entries
from promise.tasks.drift import LISTED

MARK = "✓"
TARGET = "◀ target"


@dataclass(frozen=True)
class UserTrace:
    """The tables of one user.

    Attributes:
        pipeline: Gives texts and IDs.
        target: Item index.
        prefixes: Those that a search met and the target's own, by `level` and trie `node`: `log_prob` (cumulative; null
            where none met it), `reward` (also of those that the search did not ask about), whether it is a `candidate`
            of the guided search, is kept by `plain`, by `guided`, and is the `target`'s own.
        returned: Items that the plain and the guided search return, best first; -1 = none.
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

        place = {
            name: pl.when("candidate").then(pl.col(score).rank("min", descending=True).over("level", "candidate"))
            for name, score in (("place_by_likelihood", "log_prob"), ("place_by_reward", "reward"))
        }
        kept = {name: pl.when(name).then(pl.lit(MARK)).otherwise(pl.lit("lost")) for name in ("plain", "guided")}
        codes = self.pipeline.ids.codes[self.target]
        table = self.prefixes.with_columns(
            pl.col("log_prob").filter("plain").min().over("level").alias("last_kept"),
            pl.col("candidate").sum().over("level").alias("candidates"),
            **place,
        )
        own = table.filter("target").with_columns(
            pl.Series("prefix", [spelled(codes[:depth]) for depth in range(1, 1 + len(codes))]), **kept
        )
        return own.select("level", "prefix", "log_prob", "last_kept", "plain", "candidates", *place, "guided")

    def kept(self, depth: int, both: bool = True) -> pl.DataFrame:
        """The prefixes that a search keeps at a level, 1..L, and the target's own, in the order of their rewards.

        A row is a prefix, its number of items, what they have in common, log-probability, reward, and who keeps it;
        those that both keep are left out unless `both`. ValueError if there is no such level.
        """
        most = self.pipeline.trie.levels
        if not 1 <= depth <= most:
            raise ValueError(f"depth must lie in 1..{most}, got {depth}")
        some = pl.col("plain") | pl.col("guided") if both else pl.col("plain") ^ pl.col("guided")
        shown = self.prefixes.filter(some | pl.col("target"), level=depth)
        shown = shown.sort("reward", descending=True, maintain_order=True)
        below = [items_below(self.pipeline, depth, node) for node in shown["node"]]
        terms = DistinctiveTerms(self.pipeline.interactions.items["text"].to_list())
        marks = (("plain", MARK), ("guided", MARK), ("target", TARGET))
        return shown.select(
            pl.Series("prefix", [spelled(self.pipeline.ids.codes[items[0], :depth]) for items in below]),
            pl.Series("items", [len(items) for items in below]),
            pl.Series("holds", [terms.of(items) for items in below]),
            "log_prob",
            "reward",
            *(pl.when(name).then(pl.lit(mark)).otherwise(pl.lit("")).alias(name) for name, mark in marks),
        ).rename({"target": ""})

    def tree(self, best: int = 4) -> pl.DataFrame:
        """The part of the ID tree that shows what the searches do: see `promise.analysis.plots.trace.tree_figure`.

        It has the paths of the `best` items that guided search returns, of half as many of the plain one, and of the
        target, and at every level the likeliest prefix that guided search cuts, with all that is above them.

        Returns:
            `prefixes` of these, with `parent` (node of the level above), `prefix`, `items` (their number), and `holds`,
            what these have in common: the title of a single one.
        """
        pipeline, levels = self.pipeline, self.pipeline.trie.levels
        catalogue = pipeline.interactions.items
        terms = DistinctiveTerms(catalogue.select(pl.coalesce("title", "text")).to_series().to_list())
        items = [*self.returned["guided"][:best], *self.returned["plain"][: best // 2], self.target]
        shown: dict[tuple[int, int], int] = {}  # (level, node) -> an item below it
        for item in items:
            shown |= {(depth, self.node(depth, item)): item for depth in range(1, levels + 1) if item >= 0}
        cut = self.prefixes.filter(pl.col("candidate") & ~pl.col("guided") & ~pl.col("target"))
        cut = cut.sort("log_prob", descending=True).unique("level", keep="first", maintain_order=True)
        for depth, node in cut.select("level", "node").rows():
            item = int(items_below(pipeline, depth, node)[0])
            shown |= {(above, self.node(above, item)): item for above in range(1, depth + 1)}
        rows = []
        for (depth, node), item in shown.items():
            below = items_below(pipeline, depth, node)
            parent, path = self.node(depth - 1, item) if depth > 1 else 0, pipeline.ids.codes[item, :depth]
            rows.append((depth, node, parent, spelled(path), len(below), terms.of(below, count=2)))
        names = {"level": pl.Int64, "node": pl.Int64, "parent": pl.Int64, "prefix": pl.String, "items": pl.Int64}
        found = pl.DataFrame(rows, schema={**names, "holds": pl.String}, orient="row")
        return found.join(self.prefixes, on=["level", "node"], how="left", maintain_order="left")

    def node(self, depth: int, item: int) -> int:
        """The trie node of an item at a depth, 1..L."""
        return int(self.pipeline.trie.node_of(torch.from_numpy(self.pipeline.ids.codes[item, :depth])))

    @property
    def answers(self) -> pl.DataFrame:
        """The lists of the two searches, best first: rank, text of the plain search's item, of the guided one's."""
        columns: dict[str, object] = {"rank": range(1, 1 + len(self.returned["guided"]))}
        for name, items in self.returned.items():
            columns[name] = item_table(self.pipeline, items)["text"]
            columns[f"{name} hit"] = [TARGET if item == self.target else "" for item in items]
        return pl.DataFrame(columns)


def trace_user(point: Point, user: int) -> UserTrace:
    """Search for one user, by index, as a guided point does, and as a plain beam of its width does, on the CPU.

    Raises:
        ValueError: If the search keeps no beams or asks no reward, or there is no such user.
    """
    pipeline, cfg = point.pipeline, point.pipeline.cfg
    if not point.ranker.beam_options or not any(entries(point.dials["weight"])):
        raise ValueError(f"a trace needs search=guided with search.weight > 0, got {point.dials['_target_']}")
    require_user(pipeline, user)
    batch = EvaluationDataset(pipeline.histories, cfg.split, np.array([user]))[np.array([0])]
    target = int(batch.targets[0, 0])
    guided, plain = searches(point, torch.device("cpu"))
    (met, found), (beams, listed) = (stepped(each, batch, LISTED) for each in (guided, plain))
    reward = guided.judge.reward
    assert reward is not None  # a weight above 0 needs one
    with torch.inference_mode():
        context = reward.start(guided.generator.encode(batch.history, batch.lengths))
    levels = []
    for step, beam in zip(met, beams, strict=True):
        own = int(pipeline.trie.item_nodes(step.depth)[target])
        known: dict[int, float | None] = {own: None}
        for each in (beam, step):
            known |= {n: p for n, p in zip(each.nodes[0].tolist(), each.log_probs[0].tolist(), strict=True) if n >= 0}
        nodes = sorted(known)
        with torch.inference_mode():
            rewards = reward.score(context, step.depth, torch.tensor([nodes]))
        level = pl.DataFrame({"level": step.depth, "node": nodes, "log_prob": [known[node] for node in nodes]})
        level = level.with_columns(
            pl.Series("reward", rewards[0].tolist()),
            candidate=pl.col("node").is_in(step.nodes[0].tolist()),
            plain=pl.col("node").is_in(beam.kept[0].tolist()),
            guided=pl.col("node").is_in(step.kept[0].tolist()),
            target=pl.col("node") == own,
        )
        levels.append(level.with_columns(pl.col("log_prob").cast(pl.Float64)))
    return UserTrace(pipeline, target, pl.concat(levels), {"plain": listed, "guided": found})


def rescued_user(record: pl.DataFrame) -> int:
    """The first user who shows best what guidance does: its search lists a target that the plain one loses.

    Of those users one whom it loses soonest after the first level, or at the first if there are no others; of these one
    whose target the reward puts highest at the last level. The record is one of `DriftRecorder.result`.

    Raises:
        ValueError: If guidance rescues nobody.
    """
    levels = record.filter(pl.col("depth").is_not_null()).group_by("user", maintain_order=True)
    users = levels.agg(pl.col("plain").sum(), last=pl.col("plain").last(), place=pl.col("reward_rank").last())
    users = users.join(record.filter(pl.col("depth").is_null()).select("user", listed="guided"), on="user")
    found = users.filter(pl.col("listed") & ~pl.col("last"))
    if found.is_empty():
        raise ValueError(f"of {len(users)} users guided search lists no target that the plain beam loses")
    lost_at_1 = pl.col("plain") == 0  # what is lost stays lost
    return int(found.sort(lost_at_1, "plain", "place", nulls_last=True, maintain_order=True)["user"][0])
