"""One point of a table: which search on which networks for which users; ranked once, kept as a row."""

import json
import logging
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import get_class
from lightning.fabric.utilities import move_data_to_device
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import nn

import promise
from promise.data.tables import found_files
from promise.metrics.intervals import mean_interval
from promise.metrics.ranking import ndcg_values, recall_values
from promise.pipeline.config import data_name, make, parameters_of, plain
from promise.pipeline.files import file_fingerprint, written_whole
from promise.pipeline.item_files import item_lists
from promise.pipeline.model_folder import digest, fingerprint_of
from promise.pipeline.provenance import commit
from promise.pipeline.ranker_inputs import OF_THE_MODEL, fingerprints, ranker_inputs
from promise.pipeline.stages import Pipeline
from promise.pipeline.trainer import finish, make_logger, make_trainer
from promise.search.options import active_options, candidates_of, entries, in_one_spelling, one_if_equal, weights_of
from promise.search.protocols import Ranker
from promise.tasks.evaluation import EvaluationResult, RankingEvaluator

log = logging.getLogger(__name__)

#: Lengths of the lists that recall and NDCG are measured on.
KS = (5, 10, 20)

#: Lengths that recall alone is measured on: of lists that another model is to rank anew.
DEEP = (50, 100, 500)

#: Every metric of a row, and its values by the ranks of the targets.
METRICS = {
    f"{name}@{k}": partial(values, k=k)
    for name, values, ks in (("recall", recall_values, (*KS, *DEEP)), ("ndcg", ndcg_values, KS))
    for k in ks
}


@dataclass(frozen=True)
class PointResult:
    """A row and what paired comparisons need."""

    row: dict[str, Any]  # options, metrics, intervals and costs by their column names; JSON-able
    ranks: NDArray[np.int64]  # (n,) 0-based rank of each user's target, users in ascending order
    kept: NDArray[np.bool_] | None  # (n, L) whether each target's own prefix was kept, by level; None = not known
    path: Path  # file of the row
    searched: bool  # whether this call did the search; else the row was there


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
        self.choices = choices if pipeline.given is None else {**choices, **pipeline.given.origin["options"]}
        self.name = name.replace("/", ":") or choices["search"]
        self.accepts = set(parameters_of(self.dials["_target_"]))
        self.ranker: type[Ranker] = get_class(self.dials["_target_"])

    @cached_property
    def lists(self) -> dict[str, NDArray[np.int64]]:
        """Indices (n,) of the items that are allowed or denied, by the name of the list; absent where there is none."""
        catalogue = self.pipeline.interactions.items["id"]
        return item_lists(self.pipeline.cfg, self.accepts, self.dials["_target_"], catalogue)

    @property
    def with_networks(self) -> bool:
        """Whether the ranker searches with the networks (baselines only count)."""
        return bool(OF_THE_MODEL & self.accepts)

    @cached_property
    def acting(self) -> dict[str, Any]:
        """The dials that can act, by name, in one spelling."""
        if self.ranker.beam_options:
            return active_options(self.dials, self.pipeline.trie.levels)
        acting = {name: in_one_spelling(name, value) for name, value in self.dials.items() if name != "_target_"}
        if acting.get("weight") in (0, 1) and "samples" not in acting:  # there it is the temperature of the draws
            acting.pop("temperature", None)
        return acting

    @property
    def width(self) -> int:
        """Length of the answer: the beams of the last level, or the longest list that is measured."""
        width = self.dials.get("width", self.dials.get("samples", max(DEEP)))
        return int(width[-1] if isinstance(width, list) else width)

    @property
    def trust(self) -> dict[str, float]:
        """`cooccurrence.scale` of networks that count, else nothing."""
        counts = self.pipeline.cfg.cooccurrence
        return {"cooccurrence.scale": counts.scale} if self.with_networks and counts else {}

    def key(self) -> dict[str, Any]:
        """All that the row depends on: dials that can act, and contents of the inputs."""
        pipeline, cfg, users = self.pipeline, self.pipeline.cfg, self.pipeline.cfg.evaluation.users
        key: dict[str, Any] = {
            "version": self.ranker.version,
            "depth": max(DEEP),
            "target": self.dials["_target_"],
            "dials": self.acting,
            "data": pipeline.data.fingerprint,
            "split": cfg.split,
            "users": users if users is not None and users < len(pipeline.histories.evaluated(cfg.split)) else None,
            "seen": seen_of(cfg),
            **{name: fingerprint_of(items) for name, items in self.lists.items()},
        }
        if file := self.dials.get("file"):
            key["file"] = [file_fingerprint(path) for path in found_files("search.file", str(file), None)]
        if found := fingerprints(pipeline, self.accepts):
            key |= found | {"precision": cfg.evaluation.precision}
        if self.with_networks:
            key["drift"] = False  # rows of before had a choice
            key |= {name: scale for name, scale in self.trust.items() if scale != 1}  # 1 changes nothing
        if "seed" in self.accepts and (not self.ranker.beam_options or self.acting.get("shuffle_rewards")):
            key["seed"] = cfg.seed
        if "adaptive" in self.acting:
            key["calibration"] = cfg.checkpoint_selection.users
        return key

    @cached_property
    def path(self) -> Path:
        """File of the row; networks that name it are trained if need be."""
        return Path(self.pipeline.cfg.store) / "rows" / f"{digest(self.key())}.json"

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
            keep_answers: Search in any case and return the ranked items too; a row that is there stays as it is.
        """
        known = self.find()
        if known and not keep_answers:
            return known, None
        path, name = self.path, self.path.stem
        found = self.evaluate(DEEP[0] if keep_answers else max(KS))
        if known:
            return known, found
        row = {"hash": name, **self.names(), **self.measures(found), "promise": promise.__version__, "commit": commit()}
        for suffix, table in ((".npy", found.ranks), (".kept.npy", found.kept)):
            if table is not None:
                with written_whole(path.with_suffix(suffix)) as part:
                    np.save(part, table)
        with written_whole(path) as part:  # the row appears last: whoever sees it finds its ranks
            part.write_text(json.dumps(row, indent=1) + "\n")
        return PointResult(row, found.ranks, found.kept, path, True), found

    def evaluate(self, k: int = max(KS)) -> EvaluationResult:
        """Rank the users of the split and measure the answer, of which k items are kept."""
        pipeline, cfg = self.pipeline, self.pipeline.cfg
        pipeline.check_inputs()
        logger = make_logger(cfg, f"{self.name}-{cfg.seed}", "evaluate")
        try:
            trainer = make_trainer(cfg, logger=logger, precision=cfg.evaluation.precision, default_root_dir=cfg.store)
            task = RankingEvaluator(
                k,
                ranker=self.make_ranker(trainer.strategy.root_device),
                item_count=pipeline.histories.item_count,
                depth=max(DEEP),
                trie=pipeline.trie if self.with_networks else None,
            )
            trainer.test(task, datamodule=pipeline.datamodule(cfg.evaluation.users), verbose=False)
            found = task.result()
            figures = self.measures(found).items()
            logger.log_metrics({name: value for name, value in figures if isinstance(value, int | float)})
            logger.log_hyperparams(self.names())
        finally:
            finish(logger)
        return found

    def make_ranker(self, device: torch.device, **changed: Any) -> Any:
        """The ranker, its networks on a device, with options that differ from the config's if need be."""
        makers = ranker_inputs(self.pipeline) | {name: partial(self.lists.get, name) for name in self.lists}
        given = {name: maker() for name, maker in makers.items() if name in self.accepts - self.dials.keys()}
        for value in given.values():
            if isinstance(value, nn.Module):
                value.to(device)
        ranker = make({**self.dials, **changed}, **given)
        if "adaptive" in self.acting and not changed:
            batches = self.pipeline.datamodule().val_dataloader()
            ranker.calibrate(move_data_to_device(batch, device) for batch in batches)
        return ranker

    def names(self) -> dict[str, Any]:
        """The options that the row is of, by Hydra's names, and its dials, normalised: one that can't act is null."""
        cfg, dials = self.pipeline.cfg, self.dials
        found = fingerprints(self.pipeline, self.accepts)
        networks = found.get("networks", found.get("sasrec"))
        row: dict[str, Any] = {
            "data": data_name(self.choices["data"], cfg.data),
            "split": cfg.split,
            "seed": cfg.seed,
            "seen": seen_of(cfg),
            **{name: f"sha256:{fingerprint_of(items)}" for name, items in self.lists.items()},
            "search": self.choices["search"],
            **{
                name: self.choices[name] if self.with_networks else None for name in ("generator", "reward", "training")
            },
            "networks": f"sha256:{networks}" if networks else None,
            **self.trust,
        }
        acting = self.acting
        if not self.ranker.beam_options:
            return row | {f"search.{name}": value for name, value in acting.items()}
        levels = self.pipeline.trie.levels
        if not any(acting["weight"]):
            row["search"] = "plain"
        elif acting["rerank"]:
            row["search"] = "orm"
        elif "fusion" in acting:
            row["search"] = "fusion"
        elif dials.get("reward_levels") == "last":
            row["search"] = "last_level"
        elif row["search"] in ("plain", "orm", "fusion", "last_level"):  # their names, but not their dials
            row["search"] = "guided"
        guided = row["search"] != "plain"
        row["search.width"] = one_if_equal(acting["width"])
        row["search.candidates"] = one_if_equal(candidates_of(dials, levels) if guided else acting["width"])
        pairs = zip(acting["candidates"], acting["width"], strict=True)
        row["search.expansion"] = one_if_equal([candidates / width for candidates, width in pairs])
        row["search.weight"] = one_if_equal(weights_of(dials, levels)) if guided else 0.0
        row["search.temperature"] = acting.get("temperature")
        row["search.control"] = {True: "shuffled", False: "none", None: None}[acting.get("shuffle_rewards")]
        row |= {f"search.{name}": acting[name] for name in ("fusion", "adaptive", "adaptive_cap") if name in acting}
        return row

    def measures(self, found: EvaluationResult) -> dict[str, Any]:
        """Metrics with their intervals, rates and costs."""
        row: dict[str, Any] = {"users": len(found.users)}
        for column, function in METRICS.items():
            values: tuple[float | None, ...] = (None, None, None)
            if function.keywords["k"] <= self.width:
                interval = mean_interval(function(found.ranks), seed=0)
                values = interval.mean, interval.low, interval.high
            row |= zip((column, f"{column}_low", f"{column}_high"), values, strict=True)
        row |= {f"hrecall@{level}": share for level, share in enumerate(found.hrecall, start=1)}
        row |= found.shares | {"invalid_rate": found.invalid_rate, "duplicate_rate": found.duplicate_rate}
        # Lists shorter than the longest that is measured, as far as the catalogue has so many items.
        wanted = min(max(KS), self.width, self.pipeline.histories.item_count)
        row["incomplete_users"] = int(((found.items[:, :wanted] >= 0).sum(1) < wanted).sum())
        row["parameters"] = self.parameters()
        return row | found.cost.per_user()

    def parameters(self) -> int | None:
        """Learned numbers of the networks that the search asks; None for a baseline."""
        makers, names = ranker_inputs(self.pipeline), {"generator", "reward", "sasrec"} & self.accepts
        if not any(entries(self.dials.get("weight", 1))):
            names -= {"reward"}
        networks = [network for name in names if (network := makers[name]()) is not None]
        return sum(p.numel() for network in networks for p in network.parameters()) if networks else None


def seen_of(cfg: DictConfig) -> str:
    """How past items are treated, in the words of a row: keep or remove."""
    return "remove" if cfg.evaluation.remove_seen else "keep"
