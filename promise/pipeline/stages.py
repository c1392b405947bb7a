"""The stages in order, each built once and reused when it is there: data, embeddings, semantic IDs, networks."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from scipy import sparse

from promise.data.datamodule import HistoryDataModule
from promise.data.embeddings.protocol import ItemEmbedding, NothingToEmbed
from promise.data.embeddings.text import word_weights
from promise.data.histories import Histories
from promise.data.interactions import Interactions
from promise.data.sources.protocol import Source
from promise.data.splits import leave_last_out
from promise.ids.collisions import make_unique
from promise.ids.quality import quality_report
from promise.ids.quantizers.protocol import Quantizer
from promise.ids.semantic_ids import SemanticIds
from promise.ids.trie import Trie
from promise.models.cooccurrence import set_scale
from promise.models.generator import Generator
from promise.models.reward import RewardModel
from promise.pipeline.config import make, make_with, plain, trainings
from promise.pipeline.cooccurrence import cooccurrence_stage, cooccurrence_tables
from promise.pipeline.given_model import adopted, without_paths
from promise.pipeline.model_folder import IDS, Model, fingerprint_of, in_catalogue
from promise.pipeline.networks import WEIGHTS, NetworkInputs, network_config, wants_vectors
from promise.pipeline.store import Artifact, NotBuilt, Store
from promise.pipeline.training_stage import TrainingStage
from promise.pipeline.trainings import SASRecTraining, training_stage

log = logging.getLogger(__name__)

#: Raised when a stage's code makes something else of the same config and inputs.
VERSIONS = {"data": 1, "embeddings": 1, "ids": 1, "content": 1, "cooccurrence": 1}


class Pipeline:
    """Everything a verb needs, built or loaded when it is first asked for.

    Args:
        cfg: The checked root config.

    Attributes:
        given: The model of `checkpoint`; None where networks are trained.
        built: Names of the stages that this object built, in order.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.given = None if cfg.checkpoint is None else Model.open(cfg.checkpoint)
        self.cfg = cfg
        self.store = Store(Path(cfg.store) / "artifacts")
        self.built: list[str] = []

    @property
    def cfg(self) -> DictConfig:
        """The root config; its networks are those of the given model, if there is one."""
        return self._cfg

    @cfg.setter
    def cfg(self, cfg: DictConfig) -> None:
        self._cfg = cfg if self.given is None else adopted(cfg, self.given)
        if self.given is not None:
            own = network_config(self._cfg, self.given.config["reward"] is not None)
            self.given = self.given if own == self.given.config else replace(self.given, config=own)

    def stage(self, name: str, config: Mapping[str, Any], inputs: Mapping[str, str], build: Any) -> Artifact:
        """A stage of preparation from the store, built if need be."""

        def announced(folder: Path) -> Any:
            log.info("preparing %s", name)
            return build(folder)

        artifact = self.store.get_or_build(
            name,
            config,
            inputs,
            VERSIONS[name],
            announced,
            allow_build=self.cfg.build == "auto",
        )
        if artifact.built:
            self.built.append(name)
        return artifact

    @cached_property
    def data(self) -> Artifact:
        """Interactions (Parquet) and histories (.npy), named by the contents of the source.

        With a given model the catalogue is the model's: the items of the data are found in it by their ids.

        Raises:
            ValueError: If the data have items that the given model does not know.
        """
        source: Source = make(self.cfg.data)
        inputs = {"source": source.fingerprint()}
        read = self.stage("data", {}, inputs, lambda folder: save_data(source.read(), folder))
        if self.given is None:
            return read
        interactions, place = Interactions.load(read.path), f"checkpoint={self.cfg.checkpoint}"
        numbered = in_catalogue(interactions, self.given, place)
        if numbered is interactions:
            return read
        inputs["catalogue"] = numbered.fingerprint()
        return self.stage("data", {}, inputs, lambda folder: save_data(numbered, folder))

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
        if self.item_words is None:
            raise ValueError("search=co_visit_text needs item texts, the data have none: use search=co_visit")
        return self.item_words

    @cached_property
    def item_words(self) -> sparse.csr_matrix | None:
        """TF-IDF of the single words of the items' texts (I, V); None where no item has a text with a word in it."""
        return word_weights(self.interactions.items["text"].to_list(), min_df=1, ngrams=1)

    @cached_property
    def cooccurrence(self) -> Artifact | None:
        """Tables of co-occurrence counts; None where the config has none."""
        return cooccurrence_stage(self)

    @cached_property
    def cooccurrence_tables(self) -> dict[str, torch.Tensor]:
        """The tables and the sequences that were counted, by name."""
        return cooccurrence_tables(self)

    @cached_property
    def content(self) -> Artifact | None:
        """Content vectors of the items (I, E) as network inputs, E = 0 where the data hold nothing to make them of."""
        if self.cfg.content is None:
            return None
        embedding = make(self.cfg.content)

        def build(folder: Path) -> dict[str, Any]:
            texts = self.interactions.items["text"].to_list()
            try:
                vectors = embedding.embed(texts, self.histories, self.cfg.seed)
            except NothingToEmbed:
                vectors = np.zeros((self.histories.item_count, 0), np.float32)
            np.save(folder / "vectors.npy", vectors)
            return {"fingerprint": fingerprint_of(vectors), "width": vectors.shape[1]}

        inputs = {"data": self.data.fingerprint, "embedding": embedding.fingerprint()}
        return self.stage("content", {"seed": self.cfg.seed}, inputs, build)

    @cached_property
    def content_vectors(self) -> NDArray[np.float32] | None:
        """Content vectors of the items (I, E); None where there are none."""
        if self.content is None:
            return None
        vectors = np.load(self.content.path / "vectors.npy")
        if not vectors.shape[1]:
            log.warning("the data have nothing to make content vectors of: the networks get none")
        return vectors if vectors.shape[1] else None

    @cached_property
    def embeddings(self) -> Artifact:
        """Item embeddings (I, E)."""
        embedding: ItemEmbedding = make_with(self.cfg.embeddings, {"pipeline": lambda: self})

        def build(folder: Path) -> dict[str, Any]:
            texts = self.interactions.items["text"].to_list()
            vectors = embedding.embed(texts, self.histories, self.cfg.seed)
            np.save(folder / "vectors.npy", vectors)
            return {"fingerprint": fingerprint_of(vectors), "width": vectors.shape[1]}

        inputs = {"data": self.data.fingerprint, "embedding": embedding.fingerprint()}
        return self.stage("embeddings", {"seed": self.cfg.seed}, inputs, build)

    @cached_property
    def item_vectors(self) -> NDArray[np.float32]:
        """Item embeddings (I, E): the given model's, if it holds any."""
        if self.given is not None and self.given.inputs.item_vectors is not None:
            return self.given.inputs.item_vectors
        return np.load(self.embeddings.path / "vectors.npy")

    @cached_property
    def ids_path(self) -> Path:
        """File of the semantic IDs: the given model's, the one given, or the one made by the quantizer."""
        if self.given is not None:
            return self.given.weights.with_name(IDS)
        if self.cfg.ids.path is not None:
            return Path(self.cfg.ids.path)
        config = {name: value for name, value in plain(self.cfg.ids).items() if name != "path"}
        quantizer: Quantizer = make_with(config, {"pipeline": lambda: self})

        def build(folder: Path) -> dict[str, Any]:
            quantizer.fit(self.item_vectors, self.cfg.seed)
            found = quantizer.encode(self.item_vectors)
            codes, sizes, moved = make_unique(
                found, quantizer.codebooks, self.item_vectors, limit=max(quantizer.level_sizes)
            )
            quality = quality_report(found, codes, sizes, moved)
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
        if self.given is not None:
            return self.given.inputs.ids
        ids = SemanticIds.load(self.ids_path)
        if len(ids.codes) != self.histories.item_count:
            raise ValueError(
                f"ids.path={self.cfg.ids.path} has {len(ids.codes)} items, the data have {self.histories.item_count}"
            )
        return ids

    @cached_property
    def trie(self) -> Trie:
        return Trie(self.ids.codes, self.ids.level_sizes) if self.given is None else self.given.inputs.trie

    def check_inputs(self) -> None:
        """Read what was given, so that what is wrong with it shows before any training.

        Raises:
            ValueError: If data, IDs or model are missing, garbled, or don't fit each other.
        """
        _ = self.data
        if self.cfg.ids.path is not None:
            _ = self.ids

    @property
    def wants_vectors(self) -> bool:
        """Whether a network asks for item vectors."""
        return any(wants_vectors(self.cfg[group]) for group in ("generator", "reward"))

    @cached_property
    def network_inputs(self) -> NetworkInputs:
        """What networks are made of besides their config."""
        if self.given is not None:
            return self.given.inputs
        vectors = self.content_vectors if self.wants_vectors else None
        return NetworkInputs(self.ids, self.trie, vectors, self.cooccurrence_tables)

    @property
    def network_fingerprints(self) -> dict[str, str]:
        """What tells the inputs of networks from others, by name."""
        kept = {"content": self.content if self.wants_vectors else None, "cooccurrence": self.cooccurrence}
        return {"ids": self.ids.fingerprint} | {name: each.fingerprint for name, each in kept.items() if each}

    @cached_property
    def trained_networks(self) -> tuple[TrainingStage, Artifact]:
        """The last training that makes the networks, and its result; each is done if need be."""
        done: tuple[TrainingStage, Artifact] | None = None
        for settings in trainings(self.cfg):
            stage = training_stage(self, settings, done[1] if done else None)
            done = stage, self.trained(stage, "promise train")
        assert done is not None
        return done

    @cached_property
    def sasrec_artifact(self) -> Artifact:
        """SASRec, trained apart from the other networks and only when a search asks for it."""
        return self.trained(SASRecTraining(self), "promise evaluate search=sasrec")

    def trained(self, stage: TrainingStage, command: str) -> Artifact:
        """Networks from the store, trained if need be; `command` is what trains them where building is refused."""
        try:
            artifact = self.store.get_or_build(
                stage.name,
                stage.config,
                stage.inputs,
                stage.version,
                stage.fit,
                allow_build=self.cfg.build == "auto",
                command=command,
                collective=True,
            )
        except NotBuilt as refusal:
            refusal.training = stage
            raise
        if artifact.built:
            self.built.append(stage.name)
        return artifact

    @cached_property
    def sasrec(self) -> Any:
        """The trained SASRec, in evaluation mode."""
        return SASRecTraining(self).load(self.sasrec_artifact.path)["sasrec"]

    @cached_property
    def model(self) -> Model:
        """The given model, or the one of the networks that the config trains.

        Raises:
            ValueError: If the data have items that the given model does not know.
        """
        if self.given is not None:
            self.check_inputs()
            return self.given
        stage, artifact = self.trained_networks
        return Model(
            name=stage.name,
            config=network_config(self.cfg, stage.with_reward),
            inputs=self.network_inputs.for_search(),
            items=self.interactions.items,
            weights=artifact.path / WEIGHTS,
            search=plain(self.cfg.search),
            origin={
                "data": self.data.fingerprint,
                "config": {name: without_paths(plain(self.cfg[name])) for name in ("embeddings", "ids")},
            },
        )

    @property
    def networks(self) -> tuple[Generator, RewardModel | None]:
        """Trained generator and reward model, in evaluation mode, co-occurrence counts weighed as the config asks."""
        networks = self.model.networks
        if self.cfg.cooccurrence:
            set_scale(networks, self.cfg.cooccurrence.scale)
        return networks

    def datamodule(self, users: int | None = None, history: int | None = None) -> HistoryDataModule:
        """The one DataModule of every training and evaluation.

        Args:
            users: Users to test; None = all.
            history: Most items of a training window of a causal network; None = the generator's rows.
        """
        causal = self.cfg.generator.get("attention", "causal") == "causal" or history is not None
        return make(
            {**plain(self.cfg.datamodule), "history": history or self.cfg.datamodule.history},
            histories=self.histories,
            rows="windows" if causal else "prefixes",
            split=self.cfg.split,
            users=users,
            validation_users=self.cfg.checkpoint_selection.users,
            seed=self.cfg.seed,
        )


def save_data(interactions: Interactions, folder: Path) -> dict[str, Any]:
    """Write interactions and their histories into a folder, and say what there is."""
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
