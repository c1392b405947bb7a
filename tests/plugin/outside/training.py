"""A training from outside: generator and reward jointly, with few options of its own."""

from collections.abc import Mapping
from typing import Any

from promise.pipeline.networks import build_networks, network_config
from promise.pipeline.trainings import TrainingStage, selecting_search
from promise.tasks.joint import JointTask


class Quick(TrainingStage):
    """Joint training at one learning rate.

    Args:
        epochs: Passes over the training windows.
        pipeline: Gives data, IDs and config.
    """

    name, with_reward = "quick", True

    def __init__(self, epochs: int, *, pipeline: Any) -> None:
        super().__init__(pipeline, {"epochs": epochs})

    @property
    def config(self) -> dict[str, Any]:
        return {**super().config, **network_config(self.pipeline.cfg, with_reward=True)}

    @property
    def inputs(self) -> dict[str, str]:
        return super().inputs | self.pipeline.network_fingerprints

    def networks(self) -> dict[str, Any]:
        made = build_networks(self.pipeline.cfg, self.pipeline.network_inputs, with_reward=True)
        return dict(zip(("generator", "reward"), made, strict=True))

    def task(self, networks: Mapping[str, Any]) -> JointTask:
        cfg, trie = self.pipeline.cfg, self.pipeline.network_inputs.trie
        ranker = selecting_search(cfg, networks["generator"], networks["reward"], trie)
        schedule = {"learning_rate": 1e-2, "weight_decay": 0.0, "warmup_steps": 0, "patience": 9, "ema_decay": None}
        schedule |= {"epochs": self.settings["epochs"], "trie": trie, "ranker": ranker, "seed": cfg.seed}
        return JointTask("all", "sampled", 4, 1.0, **schedule, **networks)
