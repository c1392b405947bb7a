"""Trainings as stages of the store: how one is fitted, resumed and kept; of the networks, and of SASRec."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class
from lightning.pytorch import LightningDataModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from omegaconf import DictConfig
from torch import nn

from promise.data.datamodule import rows_per_process
from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.reward import RewardModel
from promise.pipeline.config import make, make_with, parameters_of, plain
from promise.pipeline.files import file_fingerprint
from promise.pipeline.networks import WEIGHTS, build_networks, load_weights, network_config, save_weights
from promise.pipeline.store import SCRATCH, Artifact
from promise.pipeline.trainer import (
    EpochLog,
    StopAtStep,
    finish,
    log_file,
    make_logger,
    make_trainer,
    resumable,
    trainer_options,
)
from promise.search.guided import GuidedSearch

#: The file within an unfinished artifact that its training goes on from.
RESUME = f"{SCRATCH}/last.ckpt"


class TrainingStage(ABC):
    """One Lightning training: trainer, logger, selection of the best epoch and resume come with it.

    A stage gives its task and the networks whose weights are kept; to come in through `training=`, it names `pipeline`
    and `before` among the parameters of its constructor, beside its own options.

    Args:
        pipeline: Gives data, IDs and config, as `promise.pipeline.stages.Pipeline` does.
        settings: The stage's own options.

    Attributes:
        name: What it trains; the first part of its artifact's name.
        version: Raised when the code makes something else of the same config and inputs.
        with_reward: Whether a reward model is among the networks that it leaves.
    """

    name: str
    version = 1
    with_reward = False

    def __init__(self, pipeline: Any, settings: dict[str, Any]) -> None:
        self.pipeline = pipeline
        self.settings = settings

    @property
    def config(self) -> dict[str, Any]:
        """Every option that its weights depend on; subclasses add those of their networks."""
        cfg = self.pipeline.cfg
        return {
            "task": self.settings,
            "trainer": trainer_options(cfg),
            "batch_size": cfg.datamodule.batch_size,
            "checkpoint_selection": plain(cfg.checkpoint_selection),
            "seed": cfg.seed,
        }

    @property
    def inputs(self) -> dict[str, str]:
        """Name -> fingerprint of everything that it reads."""
        return {"data": self.pipeline.data.fingerprint}

    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module | None]:
        """The untrained networks by name, the same ones for the same seed."""

    @abstractmethod
    def task(self, networks: Mapping[str, Any]) -> Any:
        """The task that trains them, a `promise.tasks.training.SearchSelectedTask`."""

    def datamodule(self) -> LightningDataModule:
        """Batches to train and to validate on."""
        return self.pipeline.datamodule()

    def fit(self, folder: Path) -> dict[str, Any]:
        """Train in a folder that may hold what a killed training left, and keep the best weights there.

        Returns:
            For the manifest: the weights' fingerprint, epochs, the best one, its score by the task's `monitor`
            (`validation_recall@10`) and the seconds of all parts; nothing in a process of a distributed run other than
            the first.

        Raises:
            ValueError: The processes can't share a batch evenly, or the loss became NaN or infinite.
            Stopped: A signal came; what the same training goes on from is saved.
        """
        cfg = self.pipeline.cfg
        networks = self.networks()  # 3. instantiate(cfg.generator), instantiate(cfg.reward)
        task = self.task(networks)  # 4. instantiate(cfg.training), instantiate(cfg.trainer)
        logger = make_logger(cfg, f"{self.name}-{cfg.seed}", "train")
        try:
            if isinstance(logger, WandbLogger):
                logger.experiment.define_metric("validation/*", summary=task.mode)
            if self.ids_path is not None:
                log_file(logger, cfg, "semantic-ids", self.ids_path, made=False)
            epochs, last = EpochLog(self.name), resumable(folder / RESUME)
            settings = {"max_epochs": task.epochs, "logger": logger, "default_root_dir": folder}
            trainer: Any = make_trainer(cfg, [epochs, StopAtStep(folder / RESUME)], **settings)
            rows_per_process(cfg.datamodule.batch_size, trainer.world_size)  # before processes start that each raise
            trainer.fit(task, datamodule=self.datamodule(), ckpt_path=last)  # 5. instantiate(cfg.datamodule)
            (kept,) = (each for each in trainer.callbacks if isinstance(each, ModelCheckpoint) and each.monitor)
            if trainer.is_global_zero:
                log_file(logger, cfg, self.name, Path(kept.best_model_path), made=True)
        finally:
            finish(logger)
        if not trainer.is_global_zero:
            return {}
        best_score: Any = kept.best_model_score
        best = torch.load(kept.best_model_path, map_location="cpu", weights_only=True)
        task.load_state_dict(best["state_dict"])
        save_weights(folder / WEIGHTS, networks)
        return {
            "fingerprint": file_fingerprint(folder / WEIGHTS),
            "epochs": trainer.current_epoch,
            "best_epoch": best["epoch"] + 1,
            task.monitor.replace("/", "_"): float(best_score),
            "training_seconds": round(epochs.seconds, 1),
        }

    @property
    def ids_path(self) -> Path | None:
        """File of the semantic IDs that it learns, an input of the logged run; None without."""
        return None

    def load(self, folder: Path) -> Mapping[str, Any]:
        """The trained networks of a finished artifact by name, in evaluation mode."""
        networks = self.networks()
        load_weights(folder / WEIGHTS, networks)
        return networks


class NetworkTraining(TrainingStage):
    """Training of generator, reward model or both by a task of the group `training`: joint, generator, reward.

    It starts from the networks of the training `before`; None = from scratch.
    """

    version = 4

    def __init__(self, pipeline: Any, settings: dict[str, Any], before: Artifact | None) -> None:
        super().__init__(pipeline, settings)
        self.before = before
        task: Any = get_class(settings["_target_"])
        self.name, self.with_reward = task.stage, task.with_reward

    @property
    def config(self) -> dict[str, Any]:
        networks = network_config(self.pipeline.cfg, self.with_reward)
        networks.get("cooccurrence", {}).pop("scale", None)  # it acts in a search alone
        history = self.pipeline.cfg.datamodule.history
        windows = {} if networks["generator"].get("history") == history else {"history": history}
        return {**super().config, **networks, **windows}

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
        cfg, trie = self.pipeline.cfg, self.pipeline.network_inputs.trie
        generator, reward = networks["generator"], networks["reward"]
        makers: dict[str, Callable[[], Any]] = {
            "generator": lambda: generator,
            "reward": lambda: reward,
            "trie": lambda: trie,
            "ranker": lambda: selecting_search(cfg, generator, reward, trie),
            "item_counts": lambda: torch.from_numpy(self.pipeline.training_counts),
            "seed": lambda: cfg.seed,
        }
        return make_with(self.settings, makers)


class SASRecTraining(TrainingStage):
    """Training of the config's `sasrec`, which reads histories alone: no texts, no semantic IDs."""

    name = "sasrec"
    version = 4

    def __init__(self, pipeline: Any) -> None:
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

    def networks(self) -> dict[str, Any]:
        cfg = self.pipeline.cfg
        torch.manual_seed(cfg.seed)
        return {"sasrec": make(cfg.sasrec.network, item_count=self.pipeline.histories.item_count)}

    def task(self, networks: Mapping[str, Any]) -> Any:
        return make(self.settings, network=networks["sasrec"], seed=self.pipeline.cfg.seed)


def training_stage(pipeline: Any, settings: dict[str, Any], before: Artifact | None) -> TrainingStage:
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
