"""What trainings and searches are about to cost, by closed formulas and the speed of this machine's matrix products."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from promise.models.generator import Generator
from promise.models.reward import Reward
from promise.models.sasrec import SASRec
from promise.pipeline.config import fits, make, plain
from promise.pipeline.fitting import Fit, build_networks
from promise.pipeline.offers import offers
from promise.pipeline.points import Point
from promise.pipeline.sasrec import SASRecFit
from promise.pipeline.stages import Pipeline
from promise.pipeline.training_run import Work, matmul_flops

#: Share of a large fp32 matrix product's speed that a search reaches, for the estimate of its seconds.
SEARCH_EFFICIENCY = 0.3

#: Seconds that a point takes beside its search: its metrics, their intervals, its run in the logger.
SECONDS_PER_POINT = 1.0


def untrained(cfg: DictConfig) -> DictConfig:
    """The config of networks of the same cost that need nothing but data and IDs, and build nothing."""
    none = {"neighbours": 0, "text_neighbours": 0}
    changed = OmegaConf.merge(cfg, {"build": "never", "generator": none, "reward": none})
    assert isinstance(changed, DictConfig)
    return changed


class Untrained(Pipeline):
    """Data and IDs as they are, and networks before their training.

    Args:
        cfg: As `untrained` makes it.
    """

    @cached_property
    def networks(self) -> tuple[Generator, Reward | None]:
        return build_networks(self, any(Fit.name_of(settings) != "generator" for settings in fits(self.cfg)))

    @cached_property
    def sasrec(self) -> SASRec:
        return SASRecFit(self).network().eval()

    def work(self, name: str) -> Work:
        """What a training of the config has to do.

        Args:
            name: Of the training.
        """
        if name == "sasrec":
            return SASRecFit(self).work
        return next(Fit(self, settings, None).work for settings in fits(self.cfg) if Fit.name_of(settings) == name)

    def lengths(self, most: int) -> list[int]:
        """Items of each user's history that a network reads, before the target of the split, at most `most`."""
        before = 1 if self.cfg.split == "test" else 2
        found = np.minimum(np.diff(np.asarray(self.histories.offsets)) - before, most)
        return [int(length) for length in found]

    def search_flops(self, point: Point) -> float:
        """FLOPs of a point's search over all its users, at most: beams whose code follows of itself count."""
        if not {"generator", "sasrec"} & point.accepts:
            return 0.0
        ranker = make(point.search, **offers(self, point.accepts))
        most = self.sasrec.history if "sasrec" in point.accepts else self.networks[0].history
        lengths = self.lengths(most)
        users = min(self.cfg.evaluation.users or len(lengths), len(lengths))
        return flops_of(ranker, lengths) / len(lengths) * users


def flops_of(ranker: Any, lengths: Sequence[int]) -> float:
    """FLOPs of ranking for users with histories of some lengths; 0 for a ranker that only counts."""
    return ranker.cost(lengths).flops if hasattr(ranker, "cost") else 0.0


def search_minutes(flops: float) -> float:
    """About how long a point's search takes on this machine."""
    return (flops / (SEARCH_EFFICIENCY * matmul_flops("32-true")) + SECONDS_PER_POINT) / 60


def shape(cfg: DictConfig) -> str:
    """Equal for configs whose networks cost the same."""
    groups = ("data", "embeddings", "ids", "generator", "reward", "training", "sasrec", "datamodule")
    return repr([plain(cfg[group]) for group in groups] + [cfg.seed, cfg.checkpoint])
