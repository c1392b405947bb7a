"""SASRec as a stage of its own: trained when a search asks for it, kept apart from generator and reward model."""

from pathlib import Path
from typing import Any

import torch

from promise.models.sasrec import SASRec
from promise.pipeline.config import make, plain
from promise.pipeline.fitting import Prepared
from promise.pipeline.training_run import NETWORKS, keep, train


class SASRecFit:
    """The training of the config's `sasrec`: what names it, how it is done, and its result.

    It reads histories alone: no texts, no semantic IDs.

    Args:
        pipeline: Gives data and config.
    """

    name = "sasrec"
    version = 1

    def __init__(self, pipeline: Prepared) -> None:
        cfg = pipeline.cfg
        self.pipeline = pipeline
        self.settings = plain(cfg.sasrec.training)
        self.config: dict[str, Any] = {
            "task": self.settings,
            "network": plain(cfg.sasrec.network),
            "batch_size": cfg.datamodule.batch_size,
            "selection": {"users": cfg.selection.users},
            "precision": cfg.trainer.precision,
            "gradient_clip_val": cfg.trainer.gradient_clip_val,
            "seed": cfg.seed,
        }
        self.inputs = {"data": pipeline.data.fingerprint}

    def network(self) -> SASRec:
        """The untrained network, the same one for the same seed."""
        torch.manual_seed(self.pipeline.cfg.seed)
        return make(self.pipeline.cfg.sasrec.network, item_count=self.pipeline.histories.item_count)

    def build(self, folder: Path) -> dict[str, Any]:
        """Train in a folder that may hold what a killed training left; keep the best network there."""
        network = self.network()
        task = make(self.settings, network=network, seed=self.pipeline.cfg.seed)
        data = self.pipeline.datamodule(history=network.history)
        facts = train(self.pipeline.cfg, task, self.name, folder, data)
        if facts is None:
            return {}  # rank 0 keeps the result
        return {"fingerprint": keep(network.state_dict(), folder), **facts}

    def load(self, folder: Path) -> SASRec:
        """The trained network of a finished artifact, in evaluation mode."""
        network = self.network()
        network.load_state_dict(torch.load(folder / NETWORKS, map_location="cpu", weights_only=True))
        return network.eval()
