"""Training as a stage: networks built from the config, fitted, resumed after a kill, kept with what they fit to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig

from promise.data.datamodule import HistoryDataModule
from promise.data.histories import Histories
from promise.ids.codes import SemanticIds
from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.neighbours import NeighbourTable
from promise.models.reward import Reward
from promise.pipeline.config import make, plain
from promise.pipeline.store import Artifact
from promise.pipeline.training_run import NETWORKS, keep, train
from promise.search.guided import GuidedSearch


class Prepared(Protocol):
    """What a training starts from; `promise.pipeline.stages.Pipeline` is one."""

    cfg: DictConfig

    @property
    def data(self) -> Artifact: ...
    @property
    def embeddings(self) -> Artifact: ...
    @property
    def histories(self) -> Histories: ...
    @property
    def ids(self) -> SemanticIds: ...
    @property
    def ids_path(self) -> Path: ...
    @property
    def trie(self) -> Trie: ...
    @property
    def item_vectors(self) -> NDArray[np.float32]: ...
    @property
    def neighbours(self) -> Artifact | None: ...
    @property
    def neighbour_tables(self) -> Mapping[str, NeighbourTable]: ...
    def datamodule(self, users: int | None = None, history: int | None = None) -> HistoryDataModule: ...


class Fit:
    """One training of the config: what names it, and how it is done.

    Args:
        pipeline: Gives data, IDs and config.
        settings: Config of the task (`_target_` and its dials).
        before: The fit whose networks this one starts from; None = from scratch.
    """

    version = 1

    def __init__(self, pipeline: Prepared, settings: dict[str, Any], before: Artifact | None) -> None:
        cfg = pipeline.cfg
        self.pipeline = pipeline
        self.settings = settings
        self.before = before
        self.name = self.name_of(settings)
        self.with_reward = self.name != "generator"
        self.config: dict[str, Any] = {
            "task": settings,
            "generator": plain(cfg.generator),
            "reward": plain(cfg.reward) if self.with_reward else None,
            "batch_size": cfg.datamodule.batch_size,
            "selection": plain(cfg.selection),
            "precision": cfg.trainer.precision,
            "gradient_clip_val": cfg.trainer.gradient_clip_val,
            "seed": cfg.seed,
        }
        self.inputs = {"data": pipeline.data.fingerprint, "ids": pipeline.ids.fingerprint}
        if cfg.generator.content or (self.with_reward and cfg.reward.content):
            self.inputs["embeddings"] = pipeline.embeddings.fingerprint
        if (neighbours := pipeline.neighbours) is not None:
            self.inputs["neighbours"] = neighbours.fingerprint
        if before is not None:
            self.inputs["before"] = before.fingerprint

    @staticmethod
    def name_of(settings: dict[str, Any]) -> str:
        """Name of the training of some settings."""
        return str(settings["_target_"]).rsplit(".", 1)[-1].removesuffix("Task").lower()

    def networks(self) -> tuple[Generator, Reward | None]:
        """Untrained networks, the same ones for the same seed."""
        return build_networks(self.pipeline, self.with_reward)

    def build(self, folder: Path) -> dict[str, Any]:
        """Train in a folder that may hold what a killed training left; keep the best networks there."""
        pipeline, cfg = self.pipeline, self.pipeline.cfg
        generator, reward = self.networks()
        if self.before is not None:
            generator.load_state_dict(load(self.before.path / NETWORKS)["state"]["generator"])
        ranker = GuidedSearch(
            width=cfg.selection.width,
            expansion=cfg.selection.expansion if reward else 1,
            candidates=None,
            weight=1.0 if reward else 0.0,
            temperature=1.0,
            rerank=False,
            control="none",
            generator=generator,
            reward=reward,
            trie=pipeline.trie,
        )
        offers = {}
        if self.with_reward:
            items = pipeline.histories.training_items()[0]
            offers["item_counts"] = torch.from_numpy(np.bincount(items, minlength=pipeline.histories.item_count))
        task = make(
            self.settings,
            **offers,
            generator=generator,
            reward=reward,
            trie=pipeline.trie,
            ranker=ranker,
            seed=cfg.seed,
        )
        facts = train(cfg, task, self.name, folder, pipeline.datamodule(), pipeline.ids_path)
        if facts is None:
            return {}  # rank 0 keeps the result
        payload = {
            "ids": pipeline.ids.fingerprint,
            "generator": self.config["generator"],
            "reward": self.config["reward"],
            "state": {
                "generator": generator.state_dict(),
                "reward": reward.state_dict() if reward else None,
            },
        }
        return {"fingerprint": keep(payload, folder), **facts}


def build_networks(pipeline: Prepared, with_reward: bool) -> tuple[Generator, Reward | None]:
    """Networks of the config with the weights that the seed gives."""
    cfg, ids, trie = pipeline.cfg, pipeline.ids, pipeline.trie
    torch.manual_seed(cfg.seed)
    generator = make(
        cfg.generator,
        codes=torch.from_numpy(ids.codes),
        level_sizes=ids.level_sizes,
        content_vectors=torch.from_numpy(pipeline.item_vectors) if cfg.generator.content else None,
        neighbour_tables=pipeline.neighbour_tables,
    )
    if not with_reward:
        return generator, None
    depths = range(1, trie.levels + 1)
    content = None
    if cfg.reward.content:
        vectors = torch.from_numpy(pipeline.item_vectors)
        content = [mean_below(vectors, trie.item_nodes(depth), trie.leaf_counts(depth)) for depth in depths]
    reward = make(
        cfg.reward,
        user_dim=cfg.generator.dim,
        prefixes=[trie.prefixes(depth) for depth in depths],
        level_sizes=ids.level_sizes,
        prefix_content=content,
        history=cfg.generator.history,
        item_nodes=torch.stack([trie.item_nodes(depth) for depth in depths], 1),
        neighbour_tables=pipeline.neighbour_tables,
    )
    return generator, reward


def mean_below(vectors: torch.Tensor, nodes: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Mean embedding of the items below each node of a depth: (I, E), (I,), (N,) -> (N, E)."""
    return vectors.new_zeros(len(counts), vectors.shape[1]).index_add_(0, nodes, vectors) / counts.unsqueeze(1)


def load_networks(pipeline: Prepared, path: Path) -> tuple[Generator, Reward | None]:
    """Networks with the weights of a checkpoint, in evaluation mode.

    Raises:
        ValueError: If the file is no checkpoint, or was trained on other IDs or with another config.
    """
    payload = checked_payload(pipeline.cfg, path)
    if payload["ids"] != pipeline.ids.fingerprint:
        raise ValueError(
            f"checkpoint={path} was trained on semantic IDs {payload['ids']}, these are {pipeline.ids.fingerprint}"
        )
    generator, reward = build_networks(pipeline, payload["reward"] is not None)
    generator.load_state_dict(payload["state"]["generator"])
    if reward is not None:
        reward.load_state_dict(payload["state"]["reward"])
        reward.eval()
    return generator.eval(), reward


def checked_payload(cfg: DictConfig, path: Path) -> dict[str, Any]:
    """The contents of a file of networks that the config describes.

    Raises:
        ValueError: If it is no such file, or was trained with another config.
    """
    payload = load(path)
    for group in ("generator", "reward"):
        wanted = plain(cfg[group])
        for name, value in (payload[group] or {}).items():
            if wanted.get(name) != value:
                raise ValueError(
                    f"checkpoint={path} was trained with {group}.{name}={value}, the config says {wanted.get(name)}"
                )
    return payload


def load(path: Path) -> dict[str, Any]:
    """The contents of a file of networks.

    Raises:
        ValueError: If it is none.
    """
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a wrong file shows in pickle, zip or torch, each in its own way
        raise ValueError(f"checkpoint={path} is no file of trained networks") from error
    if not isinstance(payload, dict) or not {"ids", "generator", "reward", "state"} <= payload.keys():
        raise ValueError(f"checkpoint={path} is no file of trained networks")
    return payload
