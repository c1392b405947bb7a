"""Random worlds: a catalogue, a batch of users and two toy networks, with their slow twins."""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from promise.ids.trie import Trie
from promise.search.guided import GuidedSearch
from promise.search.protocols import UserRows
from promise.search.rankers.exhaustive import ExhaustiveSearch
from tests.search.oracles import DictTrie, Path, Say, exhaustive_scores
from tests.search.toys import FEATURES, ToyCodes, ToyRewards


@dataclass
class World:
    """A catalogue, a batch of users and two toy networks; searches on them, and their slow twins."""

    codes: np.ndarray
    sizes: tuple[int, ...]
    batch: UserRows
    generator: Any
    reward: Any
    ranks: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.trie = Trie(self.codes, self.sizes, self.ranks)
        self.paths: list[Path] = [tuple(row) for row in self.codes.tolist()]
        self.items, self.levels = len(self.paths), len(self.sizes)
        self.places = DictTrie(self.paths).places()

    def guided(self, width: Any, **dials: Any) -> GuidedSearch:
        """A beam search over this world, plain unless told."""
        offers = {"generator": self.generator, "reward": self.reward, "trie": self.trie}
        return GuidedSearch(width, **{**offers, **dials})

    def exhaustive(self, weight: float, temperature: float = 1.0, **offers: Any) -> ExhaustiveSearch:
        """The whole catalogue scored."""
        given = {"generator": self.generator, "reward": self.reward, "trie": self.trie, **offers}
        return ExhaustiveSearch(weight, temperature, **given)

    def past(self, user: int) -> list[int]:
        """The user's items, oldest first."""
        return self.batch.history[user, : int(self.batch.lengths[user])].tolist()

    def with_batch(self, history: Tensor, lengths: Tensor) -> "World":
        return replace(self, batch=UserRows(history, lengths))

    def say(self, user: int) -> Say:
        """The user's logits, as the generator's tables have them."""
        features = self.features(user)

        def logits(path: Path) -> list[float]:
            place = 0
            for depth, code in enumerate(path):
                place = place * self.sizes[depth] + code
            rows = self.generator.tables[len(path)][place].tolist()
            return [sum(f * t for f, t in zip(features, row, strict=True)) for row in rows]

        return logits

    def features(self, user: int) -> list[float]:
        past = self.past(user)[::-1][: self.generator.history]
        table = self.generator.item_features.tolist()
        return [sum(0.5**age * table[item][f] for age, item in enumerate(past)) for f in range(FEATURES)]

    def judge(self, user: int, path: Path) -> float:
        row = self.reward.tables[len(path)][self.places[path]].tolist()
        return sum(f * r for f, r in zip(self.features(user), row, strict=True))

    def slow_exhaustive(self, user: int, weight: float, temperature: float, removed: set[int]) -> dict[int, float]:
        """Score of every item that is not removed."""
        trie = DictTrie(self.paths, without=removed)
        return exhaustive_scores(trie, self.say(user), partial(self.judge, user), weight, temperature)


def draw_world(seed: int) -> World:
    """Uneven levels, single-child chains, one item, repeats in histories, histories longer than is read."""
    rng = np.random.default_rng(seed)
    sizes = tuple(int(size) for size in rng.choice([1, 2, 3, 4, 7], size=rng.integers(1, 5)))
    wanted = int(rng.choice([1, 2, 3, 8, 40]))
    paths = np.unique(np.stack([rng.integers(size, size=wanted) for size in sizes], axis=1), axis=0)
    codes = rng.permutation(paths)
    users, width = int(rng.integers(1, 5)), int(rng.integers(1, 8))
    history = torch.from_numpy(rng.integers(len(codes), size=(users, width)))
    lengths = torch.from_numpy(rng.integers(1, width + 1, size=users))
    history[torch.arange(width) >= lengths[:, None]] = 0
    return toy_world(codes, sizes, seed, UserRows(history, lengths), history=int(rng.integers(2, 9)))


def toy_world(
    codes: np.ndarray, sizes: tuple[int, ...], seed: int, batch: UserRows, history: int, ranks: np.ndarray | None = None
) -> World:
    """A world of random tables; with ranks items may share leaves."""
    rng = np.random.default_rng(seed)
    tables = [numbers(rng, math.prod(sizes[:depth]), size, FEATURES) for depth, size in enumerate(sizes)]
    rewards = [numbers(rng, count, FEATURES) for count in Trie(codes, sizes, ranks).nodes]
    generator = ToyCodes(sizes, numbers(rng, len(codes), FEATURES), tables, history)
    return World(codes, sizes, batch, generator, ToyRewards(rewards), ranks)


def numbers(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.normal(size=shape).astype(np.float32))
