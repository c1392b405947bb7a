"""The stages in order, each built once and reused when it is there: data, embeddings, semantic IDs, networks."""

import hashlib
import json
import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from scipy import sparse

from promise.data.datamodule import HistoryDataModule
from promise.data.embeddings import word_weights
from promise.data.histories import Histories
from promise.data.interactions import Interactions
from promise.data.splits import leave_last_out
from promise.ids.codes import SemanticIds, quality_report
from promise.ids.collisions import make_unique
from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.neighbours import NeighbourTable
from promise.models.reward import Reward
from promise.models.sasrec import SASRec
from promise.pipeline.config import fits, make, plain
from promise.pipeline.fitting import Fit, load_networks
from promise.pipeline.neighbours import BACKWARD, DECAY, RARITY, TEXT_WEIGHT, WINDOW, co_visit_table, text_table
from promise.pipeline.sasrec import SASRecFit
from promise.pipeline.store import Artifact, NotBuilt, Store
from promise.pipeline.training_run import NETWORKS, file_fingerprint

log = logging.getLogger(__name__)

#: Raised when a stage's code makes something else of the same config and inputs.
VERSIONS = {"data": 1, "embeddings": 1, "ids": 1, "neighbours": 2}


class Pipeline:
    """Everything a verb needs, built or loaded when it is first asked for.

    Args:
        cfg: The checked root config.

    Attributes:
        built: Names of the stages that this object built, in order.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self.store = Store(Path(cfg.store) / "artifacts")
        self.built: list[str] = []

    def stage(self, name: str, config: Mapping[str, Any], inputs: Mapping[str, str], build: Any) -> Artifact:
        """A stage of preparation from the store, built if need be."""
        artifact = self.store.get_or_build(
            name,
            config,
            inputs,
            VERSIONS[name],
            build,
            announce=f"preparing {name}",
            allow_build=self.cfg.build == "auto",
        )
        if artifact.built:
            self.built.append(name)
        return artifact

    @cached_property
    def data(self) -> Artifact:
        """Interactions (Parquet) and histories (.npy), named by the contents of the source."""
        source = make(self.cfg.data)

        def build(folder: Path) -> dict[str, Any]:
            interactions: Interactions = source.read()
            interactions.save(folder)
            histories = leave_last_out(interactions)
            histories.save(folder)
            if interactions.dropped_users:
                log.warning("users with fewer than 3 interactions are left out: %d", interactions.dropped_users)
            return {
                "fingerprint": interactions.fingerprint(),
                "users": len(histories),
                "items": histories.item_count,
                "interactions": len(histories.items),
                "dropped_users": interactions.dropped_users,
                "texts": interactions.items["text"].count(),
            }

        return self.stage("data", {}, {"source": source.fingerprint()}, build)

    @cached_property
    def histories(self) -> Histories:
        return Histories.open(self.data.path)

    @cached_property
    def interactions(self) -> Interactions:
        return Interactions.load(self.data.path)

    @cached_property
    def words(self) -> sparse.csr_matrix:
        """TF-IDF of the single words of the items' texts (I, V).

        Raises:
            ValueError: If no item has a text with a word in it.
        """
        weights = word_weights(self.interactions.items["text"].to_list(), min_df=1, ngrams=1)
        if weights is None:
            raise ValueError("search=co_visit_text needs item texts, the data have none: use search=co_visit")
        return weights

    @cached_property
    def neighbours(self) -> Artifact | None:
        """The nearest items of every item, as many as a network asks for; None where none does."""
        cfg = self.cfg
        counts = {name: max(cfg.generator[name], cfg.reward[name]) for name in ("neighbours", "text_neighbours")}
        if not any(counts.values()):
            return None

        def build(folder: Path) -> dict[str, Any]:
            words = word_weights(self.interactions.items["text"].to_list(), min_df=1, ngrams=1)
            tables = {}
            if count := counts["neighbours"]:
                visits = self.histories.training_items()
                tables["neighbours"] = co_visit_table(visits, self.histories.item_count, count, words)
            if count := counts["text_neighbours"]:
                tables["text_neighbours"] = text_table(words, self.histories.item_count, count)
            torch.save({name: table._asdict() for name, table in tables.items()}, folder / "neighbours.pt")
            return {
                "fingerprint": fingerprint_of(np.concatenate([table.items.numpy() for table in tables.values()], 1)),
                "with_any": {name: int((table.counts[:, 0] > 0).sum()) for name, table in tables.items()},
            }

        config = {**counts, "co_visits": [WINDOW, DECAY, BACKWARD, RARITY, TEXT_WEIGHT]}
        return self.stage("neighbours", config, {"data": self.data.fingerprint}, build)

    @cached_property
    def neighbour_tables(self) -> dict[str, NeighbourTable]:
        """The nearest items of every item, by the dial that asks for them."""
        kept = self.neighbours
        if kept is None:
            return {}
        tables = torch.load(kept.path / "neighbours.pt", weights_only=True)
        return {name: NeighbourTable(**table) for name, table in tables.items()}

    @cached_property
    def embeddings(self) -> Artifact:
        """Item embeddings (I, E)."""
        embedding = make(self.cfg.embeddings)

        def build(folder: Path) -> dict[str, Any]:
            texts = self.interactions.items["text"].to_list()
            vectors = embedding.embed(texts, self.histories, self.cfg.seed)
            np.save(folder / "vectors.npy", vectors)
            return {"fingerprint": fingerprint_of(vectors), "width": vectors.shape[1]}

        inputs = {"data": self.data.fingerprint, "embedding": embedding.fingerprint()}
        return self.stage("embeddings", {"seed": self.cfg.seed}, inputs, build)

    @cached_property
    def item_vectors(self) -> NDArray[np.float32]:
        return np.load(self.embeddings.path / "vectors.npy")

    @cached_property
    def ids_path(self) -> Path:
        """File of the semantic IDs: the one given, or the one made by the quantiser."""
        if self.cfg.ids.path is not None:
            return Path(self.cfg.ids.path)
        config = {name: value for name, value in plain(self.cfg.ids).items() if name != "path"}
        quantiser = make(config)

        def build(folder: Path) -> dict[str, Any]:
            quantised = quantiser.fit(self.item_vectors, self.cfg.seed)
            codes, sizes, moved = make_unique(quantised, self.item_vectors, max(quantiser.codes))
            quality = quality_report(quantised.codes, codes, sizes, moved)
            ids = SemanticIds(codes, sizes, quality)
            ids.save(folder / "ids.npz")
            (folder / "quality.json").write_text(json.dumps(quality, indent=1) + "\n")
            return {"fingerprint": ids.fingerprint}

        inputs = {"embeddings": self.embeddings.fingerprint}
        return self.stage("ids", {**config, "seed": self.cfg.seed}, inputs, build).path / "ids.npz"

    @cached_property
    def ids(self) -> SemanticIds:
        """The semantic IDs of the catalogue.

        Raises:
            ValueError: If a given file holds IDs of another number of items.
        """
        ids = SemanticIds.load(self.ids_path)
        if len(ids.codes) != self.histories.item_count:
            raise ValueError(
                f"ids.path={self.cfg.ids.path} has {len(ids.codes)} items, the data have {self.histories.item_count}"
            )
        return ids

    def check_inputs(self) -> None:
        """Read what was given, so that what is wrong with it shows before any training.

        Raises:
            ValueError: If data, IDs or checkpoint are missing, garbled, or don't fit each other.
        """
        _ = self.ids
        if self.cfg.checkpoint is not None:
            _ = self.networks

    @cached_property
    def trie(self) -> Trie:
        return Trie(self.ids.codes, self.ids.level_sizes)

    @cached_property
    def checkpoint(self) -> Path:
        """File of the trained networks: the one given, or the last fit's."""
        if self.cfg.checkpoint is not None:
            return Path(self.cfg.checkpoint)
        before: Artifact | None = None
        for settings in fits(self.cfg):
            fit = Fit(self, settings, before)
            before = self.trained(fit, "promise train")
        assert before is not None
        return before.path / NETWORKS

    @cached_property
    def sasrec_artifact(self) -> Artifact:
        """SASRec, trained apart from the other networks and only when a search asks for it."""
        return self.trained(SASRecFit(self), "promise evaluate search=sasrec")

    def trained(self, fit: Fit | SASRecFit, command: str) -> Artifact:
        """Networks from the store, trained if need be; `command` is what trains them where building is refused."""
        try:
            artifact = self.store.get_or_build(
                fit.name,
                fit.config,
                fit.inputs,
                fit.version,
                fit.build,
                allow_build=self.cfg.build == "auto",
                command=command,
                collective=True,
            )
        except NotBuilt as refusal:
            refusal.training = fit
            raise
        if artifact.built:
            self.built.append(fit.name)
        return artifact

    @cached_property
    def sasrec(self) -> SASRec:
        """The trained SASRec, in evaluation mode."""
        return SASRecFit(self).load(self.sasrec_artifact.path)

    @property
    def networks(self) -> tuple[Generator, Reward | None]:
        """Trained generator and reward model, in evaluation mode, with the trust in counts that the config asks for."""
        networks = generator, reward = self.loaded
        for terms in (generator.terms, reward.terms.terms if reward is not None and reward.terms else None):
            if terms is not None:
                terms.trust(self.cfg.evaluation.neighbour_trust)
        return networks

    @cached_property
    def loaded(self) -> tuple[Generator, Reward | None]:
        """The networks as they were trained."""
        return load_networks(self, self.checkpoint)

    @cached_property
    def networks_fingerprint(self) -> str:
        """Hash of the checkpoint's contents."""
        return file_fingerprint(self.checkpoint)

    def datamodule(self, users: int | None = None, history: int | None = None) -> HistoryDataModule:
        """The one DataModule of every training and evaluation.

        Args:
            users: Users to test; None = all.
            history: Most items of a training window of a causal network; None = the generator's rows.
        """
        causal = self.cfg.generator.attention == "causal" or history is not None
        return make(
            {**plain(self.cfg.datamodule), "history": history or self.cfg.datamodule.history},
            histories=self.histories,
            rows="windows" if causal else "prefixes",
            split=self.cfg.split,
            users=users,
            validation_users=self.cfg.selection.users,
            seed=self.cfg.seed,
        )


def fingerprint_of(array: NDArray[Any]) -> str:
    """First 16 hex digits of the SHA-256 of an array's shape and contents."""
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
