"""What searches are about to cost, by closed formulas and the speed of this machine's matrix products."""

import time
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from promise.models.generator import Generator
from promise.models.reward import RewardModel
from promise.models.sasrec import SASRec
from promise.pipeline.config import make_with, plain, trainings
from promise.pipeline.networks import build_networks
from promise.pipeline.points import Point
from promise.pipeline.ranker_inputs import ranker_inputs
from promise.pipeline.stages import Pipeline
from promise.pipeline.trainings import SASRecTraining, trains_reward
from promise.search.guided import GuidedSearch
from promise.search.rankers.best_of_n import BestOfN
from promise.search.rankers.exhaustive import ExhaustiveSearch
from promise.search.rankers.sasrec import SASRecRanker

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
    def networks(self) -> tuple[Generator, RewardModel | None]:
        return build_networks(self.cfg, self.network_inputs, any(map(trains_reward, trainings(self.cfg))))

    @cached_property
    def sasrec(self) -> SASRec:
        return SASRecTraining(self).networks()["sasrec"].eval()

    def parameters(self, name: str) -> int:
        """Learned numbers of the networks of a training.

        Args:
            name: Of the training.
        """
        networks = self.networks[: 1 if name == "generator" else 2]
        modules = [self.sasrec] if name == "sasrec" else [network for network in networks if network is not None]
        return sum(p.numel() for module in modules for p in module.parameters())

    def lengths(self, most: int) -> list[int]:
        """Items of each user's history that a network reads, before the target of the split, at most `most`."""
        before = 1 if self.cfg.split == "test" else 2
        found = np.minimum(np.diff(np.asarray(self.histories.offsets)) - before, most)
        return [int(length) for length in found]

    def search_flops(self, point: Point) -> float:
        """FLOPs of a point's search over all its users, at most: beams whose code follows of itself count."""
        if not {"generator", "sasrec"} & point.accepts:
            return 0.0
        ranker = make_with(point.search, ranker_inputs(self))
        most = self.sasrec.history if "sasrec" in point.accepts else self.networks[0].history
        lengths = self.lengths(most)
        users = min(self.cfg.evaluation.users or len(lengths), len(lengths))
        return flops_of(ranker, lengths) / len(lengths) * users


def flops_of(ranker: Any, lengths: Sequence[int]) -> float:
    """FLOPs of ranking for users with histories of some lengths; 0 for a ranker that only counts."""
    history = list(lengths)
    if isinstance(ranker, GuidedSearch):
        return ranker.cost(history).flops
    if isinstance(ranker, ExhaustiveSearch):
        return ranker.cost(history, 0.0).flops
    if isinstance(ranker, BestOfN):
        trie, drawn = ranker.trie, ranker.samples
        rows: list[int | list[int]] = [min(drawn, int(trie.undecided(depth).sum())) for depth in range(trie.levels)]
        return ranker.cost(history, rows, [min(drawn, trie.items)] * len(history)).flops
    if isinstance(ranker, SASRecRanker):
        model = ranker.sasrec.flops
        return model.encode(history) + model.score(history, ranker.item_count)
    return 0.0


def search_minutes(flops: float) -> float:
    """About how long a point's search takes on this machine."""
    return (flops / (SEARCH_EFFICIENCY * matmul_flops()) + SECONDS_PER_POINT) / 60


@cache
def matmul_flops() -> float:
    """FLOP/s of one large fp32 matrix product on this machine's CPU; the best of a few."""
    left = torch.ones(512, 512)
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        torch.mm(left, left)
        seconds.append(time.perf_counter() - began)
    return 2 * 512**3 / min(seconds)


def shape(cfg: DictConfig) -> str:
    """Equal for configs whose networks cost the same."""
    groups = ("data", "embeddings", "ids", "generator", "reward", "training", "sasrec", "datamodule")
    return repr([plain(cfg[group]) for group in groups] + [cfg.seed, cfg.checkpoint])
