"""The trainings that there are: generator and reward model jointly, in stages or the generator alone; and SASRec."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import get_class
from lightning.pytorch import LightningDataModule
from omegaconf import DictConfig

from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.reward import RewardModel
from promise.models.sasrec import SASRec
from promise.pipeline.config import make, make_with, parameters_of, plain
from promise.pipeline.networks import WEIGHTS, build_networks, load_weights, network_config
from promise.pipeline.store import Artifact
from promise.pipeline.training_stage import Prepared, TrainingStage
from promise.search.guided import GuidedSearch


class NetworkTraining(TrainingStage):
    """Training of generator, reward model or both by a task of the group `training`: joint, generator, reward.

    Args:
        pipeline: Gives data, IDs and config.
        settings: Config of the task (`_target_` and its options).
        before: The training whose networks this one starts from; None = from scratch.
    """

    version = 3

    def __init__(self, pipeline: Prepared, settings: dict[str, Any], before: Artifact | None) -> None:
        super().__init__(pipeline, settings)
        self.before = before
        task: Any = get_class(settings["_target_"])
        self.name, self.with_reward = task.stage, task.with_reward

    @property
    def config(self) -> dict[str, Any]:
        networks = network_config(self.pipeline.cfg, self.with_reward)
        networks.get("cooccurrence", {}).pop("scale", None)  # it acts in a search alone
        return {**super().config, **networks}

    @property
    def inputs(self) -> dict[str, str]:
        before = {} if self.before is None else {"before": self.before.fingerprint}
        return super().inputs | self.pipeline.network_fingerprints | before

    @property
    def ids_path(self) -> Path | None:
        return self.pipeline.ids_path

    def networks(self) -> dict[str, Any]:
        generator, reward = build_networks(self.pipeline.cfg, self.pipeline.network_inputs, self.with_reward)
        if self.before is not None:
            load_weights(self.before.path / WEIGHTS, {"generator": generator})
            generator.train()
        return {"generator": generator, "reward": reward}

    def task(self, networks: Mapping[str, Any]) -> Any:
        cfg, histories, trie = self.pipeline.cfg, self.pipeline.histories, self.pipeline.network_inputs.trie
        generator, reward = networks["generator"], networks["reward"]
        makers: dict[str, Callable[[], Any]] = {
            "generator": lambda: generator,
            "reward": lambda: reward,
            "trie": lambda: trie,
            "ranker": lambda: selecting_search(cfg, generator, reward, trie),
            "item_counts": lambda: torch.from_numpy(
                np.bincount(histories.training_items()[0], minlength=histories.item_count)
            ),
            "seed": lambda: cfg.seed,
        }
        return make_with(self.settings, makers)


class SASRecTraining(TrainingStage):
    """Training of the config's `sasrec`, which reads histories alone: no texts, no semantic IDs.

    Args:
        pipeline: Gives data and config.
    """

    name = "sasrec"
    version = 3

    def __init__(self, pipeline: Prepared) -> None:
        super().__init__(pipeline, plain(pipeline.cfg.sasrec.training))

    @property
    def config(self) -> dict[str, Any]:
        users = self.pipeline.cfg.checkpoint_selection.users  # it is chosen by its own ranking, not by a search
        return {
            **super().config,
            "checkpoint_selection": {"users": users},
            "network": plain(self.pipeline.cfg.sasrec.network),
        }

    def datamodule(self) -> LightningDataModule:
        return self.pipeline.datamodule(history=self.pipeline.cfg.sasrec.network.history)

    def networks(self) -> dict[str, SASRec]:
        cfg = self.pipeline.cfg
        torch.manual_seed(cfg.seed)
        return {"sasrec": make(cfg.sasrec.network, item_count=self.pipeline.histories.item_count)}

    def task(self, networks: Mapping[str, Any]) -> Any:
        return make(self.settings, network=networks["sasrec"], seed=self.pipeline.cfg.seed)


def training_stage(pipeline: Prepared, settings: dict[str, Any], before: Artifact | None) -> TrainingStage:
    """The stage of some settings of the group `training`: a target that names `pipeline` is one, others are tasks."""
    if "pipeline" not in parameters_of(settings["_target_"]):
        return NetworkTraining(pipeline, settings, before)
    stage: TrainingStage = make_with(settings, {"pipeline": lambda: pipeline, "before": lambda: before})
    return stage


def trains_reward(settings: dict[str, Any]) -> bool:
    """Whether a training of the group `training` leaves a reward model."""
    target: Any = get_class(settings["_target_"])
    return bool(target.with_reward)


def selecting_search(cfg: DictConfig, generator: Generator, reward: RewardModel | None, trie: Trie) -> GuidedSearch:
    """The search over validation users that chooses the best epoch."""
    return GuidedSearch(
        width=cfg.checkpoint_selection.width,
        expansion=cfg.checkpoint_selection.expansion if reward else 1,
        weight=1.0 if reward else 0.0,
        generator=generator,
        reward=reward,
        trie=trie,
    )
