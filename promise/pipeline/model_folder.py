"""A trained model as one folder: networks with all that their answers depend on, loaded without any data."""

import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from promise.data.interactions import EVENT_COLUMNS, Interactions
from promise.ids.semantic_ids import SemanticIds
from promise.ids.trie import Trie
from promise.models.cooccurrence import set_scale
from promise.models.generator import Generator
from promise.models.reward import RewardModel
from promise.pipeline.config import called_by, named
from promise.pipeline.files import file_fingerprint
from promise.pipeline.networks import WEIGHTS, NetworkInputs, build_networks, load_weights
from promise.search.protocols import Ranker

#: The file that says what a folder holds; the other files of a folder.
DESCRIPTION, IDS, TABLES, ITEMS = "model.json", "ids.npz", "tables.safetensors", "items.parquet"
FILES = (WEIGHTS, IDS, TABLES, ITEMS)

#: Raised when a folder of an earlier version can no longer be read.
FORMAT = 1

#: The item vectors among the tensors of `TABLES`.
VECTORS = "item_vectors"

#: The column of counts in `ITEMS`.
COUNT = "count"


@dataclass(frozen=True, eq=False)
class Model:
    """Trained networks and everything that their answers depend on.

    Attributes:
        name: What trained them: joint, generator, reward, …
        config: Of the networks: `generator`, `reward` (None = none) and what wraps them.
        inputs: Semantic IDs, item vectors and tables.
        items: The catalogue: `id` as the user's files have it, `text` or null.
        counts: Training events of every item, by which items are popular; None in folders of earlier versions.
        weights: File of the weights.
        search: Config of the search that recommends.
        origin: Where they come from: names of the options, overrides without paths, fingerprint, name, card and
            given columns of the data, config of IDs and embeddings; folders of earlier versions lack some of these.
    """

    name: str
    config: dict[str, Any]
    inputs: NetworkInputs
    items: pl.DataFrame
    weights: Path
    search: dict[str, Any]
    origin: dict[str, Any]
    counts: pl.Series | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of weights, config, IDs, vectors, tables and item ids; not of the scale of counts, a search's."""
        vectors, tables = self.inputs.item_vectors, self.inputs.tables
        config, wrapper = dict(self.config), self.config.get("cooccurrence")
        if wrapper:
            config["cooccurrence"] = {name: value for name, value in wrapper.items() if name != "scale"}
        contents = {
            "config": config,
            "weights": file_fingerprint(self.weights),
            "ids": self.inputs.ids.fingerprint,
            "vectors": None if vectors is None else fingerprint_of(vectors),
            "tables": {name: fingerprint_of(tensor.numpy()) for name, tensor in tables.items()},
            "items": digest(self.items["id"].to_list()),
        }
        return digest(contents)

    @cached_property
    def networks(self) -> tuple[Generator, RewardModel | None]:
        """Generator and reward model, in evaluation mode."""
        generator, reward = build_networks({"seed": 0, **self.config}, self.inputs, self.config["reward"] is not None)
        load_weights(self.weights, {"generator": generator, "reward": reward})
        if wrapper := self.config.get("cooccurrence"):
            set_scale((generator, reward), wrapper["scale"])
        return generator, reward

    def save(self, folder: Path) -> Path:
        """Write the model into a folder below this one, named by its contents; it appears whole.

        Returns:
            The folder; one that is there already is left alone, for it holds the same.
        """
        part = folder / f".partial-{self.name}-{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        shutil.copyfile(self.weights, part / WEIGHTS)
        self.inputs.ids.save(part / IDS)
        items = self.items if self.counts is None else self.items.with_columns(self.counts.alias(COUNT))
        items.write_parquet(part / ITEMS)
        vectors = {} if self.inputs.item_vectors is None else {VECTORS: torch.from_numpy(self.inputs.item_vectors)}
        tensors = {**vectors, **self.inputs.tables}
        (part / TABLES).write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}))
        described = {
            "format": FORMAT,
            "name": self.name,
            "networks": self.fingerprint,
            "config": self.config,
            "search": self.search,
            "origin": self.origin,
            "files": {name: file_fingerprint(part / name) for name in FILES},
        }
        final = folder / f"{self.name}-{digest(described)}"
        text = json.dumps(described | {"hash": digest(described)}, indent=1, ensure_ascii=False)
        (part / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        try:
            part.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            shutil.rmtree(part)
        return final

    @classmethod
    def open(cls, folder: str | Path, option: str = "checkpoint") -> "Model":
        """Read a folder that `save` wrote, and check every file of it.

        Args:
            folder: The folder.
            option: What names it, for errors.

        Raises:
            ValueError: If it is no such folder, a file of it is missing, has changed or holds something else, or it
                names what is neither a network nor a ranker.
        """
        folder = Path(folder)
        described = description(folder, option)
        require_networks(described, folder)
        for name, expected in described["files"].items():
            if file_fingerprint(folder / name) != expected:
                raise ValueError(f"{folder / name} has changed since the model was written")
        ids = SemanticIds.load(folder / IDS)
        try:
            tensors, items = load_file(folder / TABLES), pl.read_parquet(folder / ITEMS, glob=False)
        except (SafetensorError, pl.exceptions.PolarsError, OSError) as error:
            raise ValueError(f"{folder} cannot be read: {str(error).splitlines()[0]}") from error
        vectors = tensors.pop(VECTORS).numpy() if VECTORS in tensors else None
        return cls(
            described["name"],
            described["config"],
            NetworkInputs(ids, Trie(ids.codes, ids.level_sizes, ids.ranks), vectors, tensors),
            items.drop(COUNT, strict=False),
            folder / WEIGHTS,
            described["search"],
            described["origin"],
            items.get_column(COUNT, default=None),
        )


def description(folder: Path, option: str = "checkpoint") -> dict[str, Any]:
    """Description of a model folder, which `option` names, read once all its files are known to be there.

    Raises:
        ValueError: If it is no model folder, of another format, changed, or a file is missing.
    """
    if folder.is_file():
        raise ValueError(f"{option}={folder} is a file: it must name a model folder (paths.model of `promise train`)")
    if not folder.is_dir():
        raise ValueError(f"{option}={folder} is no folder")
    path = folder / DESCRIPTION
    try:
        described = json.loads(path.read_text("utf-8"))
        if described["format"] != FORMAT:
            raise ValueError(f"{path} is of format {described['format']}, this version reads {FORMAT}")
        expected, files = described.pop("hash"), described["files"]
    except FileNotFoundError:
        what = f"{option}={folder} is no model folder (paths.model of `promise train`)"
        raise ValueError(f"{path} is missing: {what}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise ValueError(f"{path} has changed since the model was written") from None
    if digest(described) != expected:
        raise ValueError(f"{path} has changed since the model was written")
    for name in files:
        if not (folder / name).is_file():
            raise ValueError(f"{folder / name} is missing: the model is not whole")
    return dict(described)


def require_networks(described: Mapping[str, Any], folder: Path) -> None:
    """Raise ValueError for a model that would run anything but networks and rankers: it may be from anywhere.

    No value of its config may be looked up elsewhere, for that may run anything, too.
    """
    for name, value in named({"config": described["config"], "search": described["search"]}).items():
        if name.endswith("._target_"):
            found = called_by(value)
            if not (inspect.isclass(found) and issubclass(found, nn.Module | Ranker)):
                raise ValueError(f"{folder} is not loaded: {value} is neither a network nor a ranker")
        elif isinstance(value, str) and "${" in value:
            raise ValueError(f"{folder} is not loaded: its {name} is to be looked up elsewhere, {value}")


def in_catalogue(interactions: Interactions, model: Model, place: str) -> Interactions:
    """The interactions with the catalogue of a model, items found by their ids; they themselves where it is the same.

    ValueError names the first item that is unknown to the model, which `place` names, and counts all.
    """
    own, theirs = model.items["id"].to_list(), interactions.items["id"].to_list()
    if own == theirs:
        return interactions
    numbers = {item: number for number, item in enumerate(own)}
    if unknown := [item for item in theirs if item not in numbers]:
        raise ValueError(f"{place} does not know {len(unknown)} of {len(theirs)} items of the data, first {unknown[0]}")
    moved = pl.Series([numbers[item] for item in theirs], dtype=EVENT_COLUMNS["item"])
    events = interactions.events.with_columns(moved.gather(interactions.events["item"]).alias("item"))
    return Interactions(events, interactions.users, model.items, interactions.dropped_users, split=interactions.split)


def fingerprint_of(array: NDArray[Any]) -> str:
    """First 16 hex digits of the SHA-256 of an array's shape and contents."""
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def digest(value: Mapping[str, Any] | list[Any]) -> str:
    """First 16 hex digits of the SHA-256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
