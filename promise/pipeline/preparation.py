"""The stages that need the data alone, built once and reused when it is there: interactions, histories, vectors."""

import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from omegaconf import DictConfig
from scipy import sparse

from promise.data.card import card_of
from promise.data.embeddings.protocol import ItemEmbedding, NothingToEmbed
from promise.data.embeddings.text import word_weights
from promise.data.histories import Histories
from promise.data.interactions import Interactions
from promise.data.sources.protocol import Source
from promise.data.splits import histories_of
from promise.ids.next_purchase import Purchases
from promise.ids.quantizers.checks import checked_vectors
from promise.pipeline.config import make_with
from promise.pipeline.given_model import require_its_data
from promise.pipeline.model_folder import Model, fingerprint_of, in_catalogue
from promise.pipeline.store import Artifact, Store
from promise.search.protocols import require_members

log = logging.getLogger(__name__)

#: Raised when a stage's code makes something else of the same config and inputs.
VERSIONS = {"data": 2, "embeddings": 1, "ids": 2, "content": 1, "cooccurrence": 2}


class Preparation:
    """The store and the stages before semantic IDs, built or loaded when they are first asked for.

    Attributes:
        given: The model of `checkpoint`; None where networks are trained.
        built: Names of the stages that this object built, in order.
    """

    given: Model | None = None

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self.store = Store(Path(cfg.store) / "artifacts")
        self.built: list[str] = []

    def stage(self, name: str, config: Mapping[str, Any], inputs: Mapping[str, str], build: Any) -> Artifact:
        """A stage of preparation from the store, built if need be."""

        def announced(folder: Path) -> Any:
            log.info("preparing %s", name)
            return build(folder)

        return self.kept(name, config, inputs, VERSIONS[name], announced)

    def kept(self, name: str, *made_of: Any, **options: Any) -> Artifact:
        """An artifact of the store, built if need be and allowed: see `Store.get_or_build`."""
        options["allow_build"] = self.cfg.build == "auto"
        artifact = self.store.get_or_build(name, *made_of, **options)
        if artifact.built:
            self.built.append(name)
        return artifact

    @cached_property
    def data(self) -> Artifact:
        """Interactions (Parquet) and histories (.npy), named by the contents of the source.

        A given model's catalogue is theirs: items are found in it by their ids; ValueError tells of those that are not.
        """
        source: Source = make_with(self.cfg.data, {})
        require_members(self.cfg.data["_target_"], source, Source)

        def read_all(folder: Path) -> dict[str, Any]:
            interactions = source.read()
            require_members(f"what {type(source).__name__}.read gave", interactions, Interactions)
            return save_data(interactions, folder)

        inputs = {"source": source.fingerprint()}
        read = self.stage("data", {}, inputs, read_all)
        if self.given is None:
            return read
        interactions, place = Interactions.load(read.path), f"checkpoint={self.cfg.checkpoint}"
        require_its_data(self.cfg, self.given, read.fingerprint)
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
    def conditional(self) -> Any:
        """What the users of a simulated source do next, by all that the simulation knows; ValueError if it is none."""
        source = make_with(self.cfg.data, {})
        if not hasattr(source, "conditional"):
            raise ValueError(f"search=oracle needs a simulated shop (data=synthetic), got {self.cfg.data['_target_']}")
        return source.conditional()

    @cached_property
    def words(self) -> sparse.csr_matrix:
        """TF-IDF of the single words of the items' texts (I, V); ValueError if no item has a text with a word in it."""
        if self.item_words is None:
            raise ValueError("search=co_visit_text needs item texts, the data have none: use search=co_visit")
        return self.item_words

    @cached_property
    def item_words(self) -> sparse.csr_matrix | None:
        """TF-IDF of the single words of the items' texts (I, V); None where no item has a text with a word in it."""
        return word_weights(self.interactions.items["text"], min_df=1, ngrams=1)

    @cached_property
    def content(self) -> Artifact | None:
        """Content vectors of the items (I, E) as network inputs, E = 0 where the data hold nothing to make them of."""
        if self.cfg.content is None:
            return None
        return self.vectors_stage("content", make_with(self.cfg.content, {}), or_nothing=True)

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
        return self.vectors_stage("embeddings", make_with(self.cfg.embeddings, {"pipeline": lambda: self}))

    def vectors_stage(self, name: str, embedding: ItemEmbedding, or_nothing: bool = False) -> Artifact:
        """Vectors of the items (I, E); with `or_nothing` E = 0 where the data hold nothing to make them of."""

        def build(folder: Path) -> dict[str, Any]:
            try:
                vectors = checked_vectors(embedding.embed(self.interactions.items, self.histories, self.cfg.seed))
            except NothingToEmbed:
                if not or_nothing:
                    raise
                vectors = np.zeros((self.histories.item_count, 0), np.float32)
            if len(vectors) != self.histories.item_count:
                items = self.histories.item_count
                raise ValueError(f"{name} must have a vector of each of {items} items, got {len(vectors)}")
            np.save(folder / "vectors.npy", vectors)
            return {"fingerprint": fingerprint_of(vectors), "width": vectors.shape[1]}

        require_members(self.cfg[name]["_target_"], embedding, ItemEmbedding)
        inputs = {"data": self.data.fingerprint, "embedding": embedding.fingerprint()}
        return self.stage(name, {"seed": self.cfg.seed}, inputs, build)


def save_data(interactions: Interactions, folder: Path) -> dict[str, Any]:
    """Write interactions and their histories into a folder, and say what there is."""
    interactions.save(folder)
    histories = histories_of(interactions)
    histories.save(folder)
    if interactions.dropped_users:
        log.warning("users with too few interactions are left out: %d", interactions.dropped_users)
    return {
        "fingerprint": interactions.fingerprint(),
        "users": len(histories),
        "items": histories.item_count,
        "interactions": len(histories.items),
        "dropped_users": interactions.dropped_users,
        "texts": interactions.items["text"].count(),
        "card": card_of(interactions, histories),
    }


def purchases_of(histories: Histories) -> Purchases:
    """Consecutive purchases: those of training, and from each user's last one in training to the validation target."""
    items, offsets = histories.training_items()
    later = np.delete(np.arange(len(items)), offsets[:-1])
    users = histories.evaluated("validation")
    held_out = np.stack([items[offsets[1:][users] - 1], histories.targets("validation", users)], axis=1)
    return Purchases(np.stack([items[later - 1], items[later]], axis=1).astype(np.int64), held_out.astype(np.int64))


def categories_of(items: pl.DataFrame) -> NDArray[np.int64] | None:
    """Numbers of the items' categories (I,) by the alphabet, -1 for none; None where the items have no `category`."""
    if "category" not in items.columns:
        return None
    return items["category"].rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
