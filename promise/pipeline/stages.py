"""The stages in order, each built once and reused when it is there: prepared data, semantic IDs, networks."""

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from safetensors.torch import load_file

from promise.data.datamodule import HistoryDataModule
from promise.ids.collisions import popularity_ranks, resolved
from promise.ids.quality import quality_report
from promise.ids.quantizers.checks import check_encoding
from promise.ids.quantizers.protocol import Quantizer
from promise.ids.semantic_ids import SemanticIds
from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.reward import RewardModel
from promise.pipeline.config import make, make_with, plain, trainings
from promise.pipeline.cooccurrence import TABLES, cooccurrence_stage
from promise.pipeline.files import file_fingerprint
from promise.pipeline.given_model import adopted, without_paths
from promise.pipeline.model_folder import IDS, Model, fingerprint_of
from promise.pipeline.networks import WEIGHTS, NetworkInputs, network_config, wants_vectors
from promise.pipeline.preparation import Preparation, categories_of, purchases_of
from promise.pipeline.store import Artifact, NotBuilt
from promise.pipeline.trainings import SASRecTraining, TrainingStage, training_stage
from promise.search.protocols import require_members


class Pipeline(Preparation):
    """Everything a verb needs by the checked root config, built or loaded when it is first asked for.

    Attributes:
        given: The model of `checkpoint`; None where networks are trained.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.given = None if cfg.checkpoint is None else Model.open(cfg.checkpoint)
        super().__init__(cfg)

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

    @cached_property
    def cooccurrence(self) -> Artifact | None:
        """Tables of co-occurrence counts; None where the config has none."""
        return cooccurrence_stage(self)

    @cached_property
    def cooccurrence_tables(self) -> dict[str, torch.Tensor]:
        """The tables, and the sequences that were counted, which serve training alone, by name."""
        if self.cooccurrence is None:
            return {}
        items, offsets = (torch.from_numpy(np.array(part)) for part in self.histories.training_items())
        return load_file(self.cooccurrence.path / TABLES) | {"sequences.items": items, "sequences.offsets": offsets}

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
        policy = config.pop("collisions")
        quantizer: Quantizer = make_with(
            config, {"pipeline": lambda: self, "items": lambda: self.interactions.items["id"]}
        )
        require_members(config["_target_"], quantizer, Quantizer, but={"codebooks"})  # which `fit` may make

        categories = categories_of(self.interactions.items)

        def build(folder: Path) -> dict[str, Any]:
            quantizer.fit(self.item_vectors, self.cfg.seed)
            found, sizes = quantizer.encode(self.item_vectors), quantizer.level_sizes
            check_encoding(found, quantizer.codebooks, sizes, *self.item_vectors.shape)
            codes, sizes, moved = resolved(policy, found, quantizer.codebooks, self.item_vectors, limit=max(sizes))
            quality = quality_report(
                found,
                codes,
                sizes,
                moved,
                vectors=self.item_vectors,
                codebooks=quantizer.codebooks,
                purchases=purchases_of(self.histories),
                categories=categories,
            )
            ranks = popularity_ranks(self.training_counts) if policy == "shared" else None
            ids = SemanticIds(codes, sizes, quality, ranks)
            ids.save(folder / "ids.npz")
            (folder / "quality.json").write_text(json.dumps(quality, indent=1) + "\n")
            return {"fingerprint": ids.fingerprint}

        inputs = {"embeddings": self.embeddings.fingerprint, "data": self.data.fingerprint}
        if categories is not None:  # the report tells how pure they are
            inputs["categories"] = fingerprint_of(categories)
        for name in [name for name in config if name.endswith("path")]:  # files count by their contents
            inputs[name] = file_fingerprint(Path(config.pop(name)).expanduser())
        config |= {"collisions": policy, "seed": self.cfg.seed}
        return self.stage("ids", config, inputs, build).path / "ids.npz"

    @cached_property
    def ids(self) -> SemanticIds:
        """The semantic IDs of the catalogue; ValueError if a given file holds IDs of another number of items."""
        if self.given is not None:
            return self.given.inputs.ids
        ids = SemanticIds.load(self.ids_path)
        if len(ids.codes) != self.histories.item_count:
            raise ValueError(
                f"ids.path={self.cfg.ids.path} has {len(ids.codes)} items, the data have {self.histories.item_count}"
            )
        return ids

    @property
    def training_counts(self) -> NDArray[np.int64]:
        """Training events of every item (I,)."""
        return np.bincount(self.histories.training_items()[0], minlength=self.histories.item_count)

    @cached_property
    def trie(self) -> Trie:
        if self.given is not None:
            return self.given.inputs.trie
        return Trie(self.ids.codes, self.ids.level_sizes, self.ids.ranks)

    def check_inputs(self) -> None:
        """Read the data and IDs that were given: a ValueError comes before any training."""
        _ = self.data
        if self.cfg.ids.path is not None:
            _ = self.ids

    @property
    def wants_vectors(self) -> bool:
        """Whether a network asks for item vectors."""
        return any(wants_vectors(self.cfg[group]) for group in ("generator", "reward"))

    @cached_property
    def network_inputs(self) -> NetworkInputs:
        """Semantic IDs, trie, vectors and tables that networks are made of."""
        if self.given is not None:
            return self.given.inputs
        vectors = self.content_vectors if self.wants_vectors else None
        return NetworkInputs(self.ids, self.trie, vectors, self.cooccurrence_tables)

    @property
    def network_fingerprints(self) -> dict[str, str]:
        """Fingerprints of the inputs of networks, by name."""
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
        made_of = (stage.config, stage.inputs, stage.version, stage.fit)
        try:
            return self.kept(stage.name, *made_of, command=command, collective=True)
        except NotBuilt as refusal:
            refusal.training = stage
            raise

    @cached_property
    def sasrec(self) -> Any:
        """The trained SASRec, in evaluation mode."""
        return SASRecTraining(self).load(self.sasrec_artifact.path)["sasrec"]

    @cached_property
    def model(self) -> Model:
        """The given model, or that of the networks that are trained; ValueError if it doesn't know all items."""
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
            counts=pl.Series(self.training_counts),
        )

    @property
    def networks(self) -> tuple[Generator, RewardModel | None]:
        """Trained generator and reward model, in evaluation mode, co-occurrence counts weighed as the config asks."""
        return self.model.networks

    def datamodule(self, users: int | None = None, history: int | None = None) -> HistoryDataModule:
        """The one DataModule of every training and evaluation: of so many users to test, None = all.

        Training windows of a causal network have at most `history` items; None = the generator's rows.
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
