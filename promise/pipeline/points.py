"""One point of a table: which search on which networks for which users; ranked once, kept as a row."""

import hashlib
import inspect
import json
import logging
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import get_class
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import nn

import promise
from promise.metrics.intervals import mean_interval
from promise.metrics.ranking import ndcg_values, recall_values
from promise.pipeline.config import make, plain
from promise.pipeline.item_files import indices_of, read_ids
from promise.pipeline.offers import asked, fingerprints, offers
from promise.pipeline.provenance import commit
from promise.pipeline.stages import Pipeline, fingerprint_of
from promise.pipeline.trainer import finish, make_logger, make_trainer
from promise.search.dials import active_dials, candidates_of, per_level
from promise.tasks.evaluation import EvaluationResult, RankingEvaluator

log = logging.getLogger(__name__)

#: Lengths of the lists that recall and NDCG are measured on.
KS = (5, 10, 20)

#: The lists of items that `evaluation` may name a file for.
LISTS = ("allow", "deny")

#: Raised when rows of the same config and inputs would hold something else; 1 for rankers that are not listed.
VERSIONS = {"promise.search.guided.GuidedSearch": 2}


@dataclass(frozen=True)
class PointResult:
    """A row and what paired comparisons need.

    Attributes:
        row: Dials, metrics, intervals and costs by their column names; JSON-able.
        ranks: (n,) 0-based rank of each user's target, users in ascending order.
        kept: (n, L) whether each target's own prefix was kept, by level; None where that is not known.
        path: File of the row.
        searched: True when this call did the search, False when the row was there.
    """

    row: dict[str, Any]
    ranks: NDArray[np.int64]
    kept: NDArray[np.bool_] | None
    path: Path
    searched: bool


class Point:
    """One search over the users of a split.

    Args:
        pipeline: Gives data, IDs, networks and config.
        search: Config of the ranker.
        choices: Names of the options chosen, by group (data, generator, search, …).
        name: Name of the logged run; "" = the search.
    """

    def __init__(self, pipeline: Pipeline, search: DictConfig, choices: dict[str, str], name: str = "") -> None:
        self.pipeline = pipeline
        self.dials = plain(search)
        self.search = search
        self.choices = choices
        self.name = name.replace("/", ":") or choices["search"]
        self.accepts = set(inspect.signature(get_class(self.dials["_target_"])).parameters)

    @cached_property
    def lists(self) -> dict[str, NDArray[np.int64]]:
        """Indices of the items that are allowed or denied, by the name of the list; absent where there is none.

        Raises:
            ValueError: If a file holds no item ids of these data, or the ranker takes no such list.
        """
        found = {}
        for name in LISTS:
            if (path := self.pipeline.cfg.evaluation[name]) is not None:
                if name not in self.accepts:
                    raise ValueError(f"evaluation.{name}={path} means nothing to {self.dials['_target_']}")
                ids = read_ids(f"evaluation.{name}", path)
                found[name] = indices_of(f"evaluation.{name}", ids, self.catalogue)
        return found

    @property
    def catalogue(self) -> NDArray[np.int64]:
        """(I,) id of every item, as the input file has it."""
        return self.pipeline.interactions.items["id"].to_numpy()

    @property
    def with_networks(self) -> bool:
        """Whether the ranker searches with the networks (baselines only count)."""
        return "generator" in self.accepts

    @cached_property
    def acting(self) -> dict[str, Any]:
        """The dials that can act, by name, in one spelling."""
        if "width" in self.dials:
            return active_dials(self.dials, self.pipeline.trie.levels)
        acting = {name: value for name, value in self.dials.items() if name != "_target_"}
        if acting.get("weight") in (0, 1) and "samples" not in acting:  # there it is the temperature of the draws
            acting.pop("temperature")
        return acting

    @property
    def width(self) -> int:
        """Length of the answer: the beams of the last level, or the longest list that is measured."""
        width = self.dials.get("width", self.dials.get("samples", max(KS)))
        return int(width[-1] if isinstance(width, list) else width)

    @property
    def trust(self) -> dict[str, float]:
        """`neighbour_trust` where it changes what the networks say, else nothing."""
        trust = self.pipeline.cfg.evaluation.neighbour_trust
        return {"neighbour_trust": trust} if self.with_networks and trust != 1 else {}

    def key(self) -> dict[str, Any]:
        """What the row depends on: dials that can act, and contents of the inputs."""
        pipeline, cfg = self.pipeline, self.pipeline.cfg
        users = cfg.evaluation.users
        key: dict[str, Any] = {
            "version": VERSIONS.get(self.dials["_target_"], 1),
            "target": self.dials["_target_"],
            "dials": self.acting,
            "data": pipeline.data.fingerprint,
            "split": cfg.split,
            "users": users if users is not None and users < len(pipeline.histories) else None,
            "seen": cfg.evaluation.seen,
            **{name: fingerprint_of(items) for name, items in self.lists.items()},
        }
        if found := fingerprints(pipeline, self.accepts):
            key |= found | {"precision": cfg.evaluation.precision}
        if self.with_networks:
            key["drift"] = cfg.evaluation.drift
            key |= self.trust
            if self.acting.get("control", "none") != "none" or "samples" in self.acting:
                key["seed"] = cfg.seed
            if "adaptive" in self.acting:
                key["calibration"] = cfg.selection.users
        return key

    @cached_property
    def path(self) -> Path:
        """File of the row; networks that name it are trained if need be."""
        name = hashlib.sha256(json.dumps(self.key(), sort_keys=True).encode()).hexdigest()[:16]
        return Path(self.pipeline.cfg.store) / "rows" / f"{name}.json"

    def find(self) -> PointResult | None:
        """The row of the store, if it is there and this version of promise wrote it."""
        if not self.path.exists():
            return None
        row = json.loads(self.path.read_text())
        if (version := row.get("promise", promise.__version__)) != promise.__version__:
            log.warning("%s was written by promise %s: it is not taken over", self.path, version)
            return None
        row = {**row, **self.names(), "promise": version}
        kept = self.path.with_suffix(".kept.npy")
        ranks = np.load(self.path.with_suffix(".npy"))
        return PointResult(row, ranks, np.load(kept) if kept.exists() else None, self.path, False)

    def result(self, keep_answers: bool = False) -> tuple[PointResult, EvaluationResult | None]:
        """The row, from the store or from a search made now.

        Args:
            keep_answers: Search in any case and return the ranked items too.
        """
        if not keep_answers and (known := self.find()):
            return known, None
        path, name = self.path, self.path.stem
        found = self.evaluate()
        row = {"hash": name, **self.names(), **self.measures(found), "promise": promise.__version__, "commit": commit()}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{name}.{os.getpid()}.npy")
        for suffix, table in ((".npy", found.ranks), (".kept.npy", found.kept)):
            if table is not None:
                np.save(part, table)
                part.rename(path.with_suffix(suffix))
        part.write_text(json.dumps(row, indent=1) + "\n")
        part.rename(path)  # the row appears last: whoever sees it finds its ranks
        return PointResult(row, found.ranks, found.kept, path, True), found

    def evaluate(self) -> EvaluationResult:
        """Rank the users of the split and measure the answer."""
        pipeline, cfg = self.pipeline, self.pipeline.cfg
        offered = offers(pipeline, self.accepts) | self.lists
        logger = make_logger(cfg, f"{self.name}-{cfg.seed}", "evaluate")
        try:
            trainer = make_trainer(cfg, logger=logger, precision=cfg.evaluation.precision, default_root_dir=cfg.store)
            for module in offered.values():
                if isinstance(module, nn.Module):
                    module.to(trainer.strategy.root_device)
            ranker = make(self.search, **offered)
            if "adaptive" in self.acting:
                ranker.calibrate(pipeline.datamodule().val_dataloader())
            task = RankingEvaluator(
                list(KS),
                ranker=ranker,
                item_count=pipeline.histories.item_count,
                trie=pipeline.trie if self.with_networks else None,
                drift_of=pipeline.networks[0] if self.with_networks and cfg.evaluation.drift else None,
            )
            trainer.test(task, datamodule=pipeline.datamodule(cfg.evaluation.users), verbose=False)
            found = task.result()
            figures = self.measures(found).items()
            logger.log_metrics({name: value for name, value in figures if isinstance(value, int | float)})
            logger.log_hyperparams(self.names())
        finally:
            finish(logger)
        return found

    def names(self) -> dict[str, Any]:
        """What the row is of, by Hydra's names, and its dials, normalised: one that can't act is null."""
        cfg, dials = self.pipeline.cfg, self.dials
        networks = fingerprints(self.pipeline, self.accepts).get("networks")
        row: dict[str, Any] = {
            "data": self.choices["data"],
            "split": cfg.split,
            "seed": cfg.seed,
            "seen": cfg.evaluation.seen,
            **{name: f"sha256:{fingerprint_of(items)}" for name, items in self.lists.items()},
            "search": self.choices["search"],
            "generator": self.choices["generator"] if self.with_networks else None,
            "reward": self.choices["reward"] if self.with_networks else None,
            "training": self.choices["training"] if self.with_networks else None,
            "networks": f"sha256:{networks}" if networks else None,
            **self.trust,
        }
        acting = self.acting
        if "width" not in dials:
            return row | {f"search.{name}": value for name, value in acting.items()}
        levels = self.pipeline.trie.levels
        if not any(acting["weight"]):
            row["search"] = "plain"
        elif acting["rerank"]:
            row["search"] = "orm"
        elif row["search"] in ("plain", "orm"):  # their names, but not their dials
            row["search"] = "guided"
        guided = row["search"] != "plain"
        row["search.width"] = one_if_equal(acting["width"])
        row["search.candidates"] = one_if_equal(candidates_of(dials, levels) if guided else acting["width"])
        row["search.expansion"] = one_if_equal(
            [c / w for c, w in zip(acting["candidates"], acting["width"], strict=True)]
        )
        row["search.weight"] = one_if_equal(per_level("weight", dials["weight"], levels)) if guided else 0.0
        row["search.temperature"] = acting.get("temperature")
        row["search.control"] = acting.get("control")
        row |= {f"search.{name}": acting[name] for name in ("adaptive", "adaptive_cap") if name in acting}
        return row

    def measures(self, found: EvaluationResult) -> dict[str, Any]:
        """Metrics with their intervals, rates and costs."""
        row: dict[str, Any] = {"users": len(found.users)}
        for name, function in (("recall", recall_values), ("ndcg", ndcg_values)):
            for k in KS:
                column = f"{name}@{k}"
                if k > self.width:
                    row |= {column: None, f"{column}_low": None, f"{column}_high": None}
                    continue
                interval = mean_interval(function(found.ranks, k), seed=0)
                row |= {column: found.metrics[column], f"{column}_low": interval.low, f"{column}_high": interval.high}
        for name, shares in (
            ("hrecall", found.hrecall),
            ("teacher_forced", found.teacher_forced),
            ("free_running", found.free_running),
        ):
            row |= {f"{name}@{level}": share for level, share in enumerate(shares, start=1)}
        row |= {"invalid_rate": found.invalid_rate, "duplicate_rate": found.duplicate_rate}
        row["incomplete_users"] = self.incomplete(found.items)
        row["parameters"] = self.parameters()
        return row | found.cost.per_user()

    def incomplete(self, items: NDArray[np.int64]) -> int:
        """Users with fewer items (n, k) than the longest list that is measured, as far as the catalogue has so many."""
        wanted = min(max(KS), self.width, self.pipeline.histories.item_count)
        return int(((items[:, :wanted] >= 0).sum(1) < wanted).sum())

    def parameters(self) -> int | None:
        """Learned numbers of the networks that the search asks; None for a baseline."""
        weights = self.dials.get("weight")
        judged = any(weights) if isinstance(weights, list) else bool(weights)
        networks = asked(self.pipeline, self.accepts, judged)
        return sum(p.numel() for network in networks for p in network.parameters()) if networks else None


def one_if_equal(values: list[Any]) -> Any:
    """One number when all levels agree, else the list."""
    return values[0] if len(set(values)) == 1 else values
