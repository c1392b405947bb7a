"""Toy worlds of the search's tests: random tables as networks, and the same searches in plain Python."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from promise.ids.trie import Trie
from promise.search.exhaustive import ExhaustiveSearch
from promise.search.guided import GuidedSearch

FEATURES = 4
Path = tuple[int, ...]
Levels = list[tuple[int, int, float]]


class UserBatch(NamedTuple):
    """history (B, H) and lengths (B,): all that a ranker reads."""

    history: Tensor
    lengths: Tensor


class ToyFlops:
    """Round numbers, so that a cost can be written down by hand."""

    def encode(self, history: list[int]) -> int:
        return 100 * sum(history)

    def start(self, history: list[int]) -> int:
        return 10 * len(history)

    def next_code(self, history: list[int], rows: int, level: int) -> int:
        return 1000 * rows * len(history) * (level + 1)

    def score(self, history: list[int], paths: int) -> int:
        return 3 * paths * len(history)


class ToyCodes:
    """Next codes from tables: logits of a path = user features (B, F) times a random row of that path."""

    def __init__(self, sizes: tuple[int, ...], item_features: Tensor, tables: list[Tensor], history: int) -> None:
        self.sizes, self.item_features, self.tables, self.history = sizes, item_features, tables, history
        self.flops = ToyFlops()

    def encode(self, history: Tensor, lengths: Tensor) -> Tensor:
        recency = lengths[:, None] - 1 - torch.arange(history.shape[1])  # 0 at the last item
        votes = torch.where((recency >= 0) & (recency < self.history), 0.5**recency, 0.0)
        return (votes[..., None] * self.item_features[history]).sum(1)

    def start(self, users: Tensor) -> tuple[Tensor, int, Tensor]:
        return users, 0, torch.zeros(len(users), 1, dtype=torch.int64)

    def next_code(self, cache: tuple[Tensor, int, Tensor], parents: Tensor, codes: Tensor) -> tuple[Tensor, Any]:
        users, depth, before = cache
        paths = before  # (B, W) each path as one number
        if depth:
            paths = before.gather(1, parents) * self.sizes[depth - 1] + codes
        return torch.einsum("bf,bwkf->bwk", users, self.tables[depth][paths]), (users, depth + 1, paths)


class ToyRewards:
    """Rewards from tables: user features times a random row of the trie's node."""

    def __init__(self, tables: list[Tensor]) -> None:
        self.tables = tables
        self.flops = ToyFlops()

    def start(self, users: Tensor) -> Tensor:
        return users

    def score(self, context: Tensor, depth: int, nodes: Tensor) -> Tensor:
        return torch.einsum("bf,bcf->bc", context, self.tables[depth][nodes])

    def score_all(self, context: Tensor, depth: int) -> Tensor:
        return context @ self.tables[depth].T


@dataclass
class World:
    """A catalogue, a batch of users and two toy networks; searches on them, and their slow twins."""

    codes: np.ndarray
    sizes: tuple[int, ...]
    batch: UserBatch
    generator: Any
    reward: Any

    def __post_init__(self) -> None:
        self.trie = Trie(self.codes, self.sizes)
        self.paths: list[Path] = [tuple(row) for row in self.codes.tolist()]
        self.items, self.levels = len(self.paths), len(self.sizes)
        self.places = {p: i for d in range(self.levels + 1) for i, p in enumerate(sorted({q[:d] for q in self.paths}))}

    def guided(self, width: Any, **dials: Any) -> GuidedSearch:
        """A beam search over this world, plain unless told."""
        chosen = {"expansion": 1, "candidates": None, "weight": 0.0, "temperature": 1.0, "rerank": False}
        offers = {"generator": self.generator, "reward": self.reward, "trie": self.trie}
        return GuidedSearch(width, **{**chosen, "control": "none", **offers, **dials})

    def exhaustive(self, weight: float, temperature: float = 1.0, **offers: Any) -> ExhaustiveSearch:
        """The whole catalogue scored."""
        given = {"generator": self.generator, "reward": self.reward, "trie": self.trie, **offers}
        return ExhaustiveSearch(weight, temperature, **given)

    def past(self, user: int) -> list[int]:
        """The user's items, oldest first."""
        return self.batch.history[user, : int(self.batch.lengths[user])].tolist()

    def with_batch(self, history: Tensor, lengths: Tensor) -> "World":
        return replace(self, batch=UserBatch(history, lengths))

    def extensions(self, user: int, removed: set[int]) -> Callable[[Path], dict[Path, float]]:
        """log p of every allowed next code after a path, by a dictionary trie of what is not removed."""
        children: dict[Path, set[int]] = {}
        for item, path in enumerate(self.paths):
            for depth in range(self.levels if item not in removed else 0):
                children.setdefault(path[:depth], set()).add(path[depth])
        features = self.features(user)

        def extend(path: Path) -> dict[Path, float]:
            place = 0
            for depth, code in enumerate(path):
                place = place * self.sizes[depth] + code
            table = self.generator.tables[len(path)][place].tolist()
            logits = {c: sum(f * t for f, t in zip(features, table[c], strict=True)) for c in children.get(path, set())}
            total = sum(math.exp(value) for value in logits.values())
            return {(*path, code): value - math.log(total) for code, value in logits.items()}

        return extend

    def features(self, user: int) -> list[float]:
        past = self.past(user)[::-1][: self.generator.history]
        table = self.generator.item_features.tolist()
        return [sum(0.5**age * table[item][f] for age, item in enumerate(past)) for f in range(FEATURES)]

    def judge(self, user: int, path: Path) -> float:
        row = self.reward.tables[len(path)][self.places[path]].tolist()
        return sum(f * r for f, r in zip(self.features(user), row, strict=True))

    def slow_exhaustive(self, user: int, weight: float, temperature: float, removed: set[int]) -> dict[int, float]:
        """Score of every item that is not removed."""
        extend = self.extensions(user, removed)
        likely: dict[Path, float] = {(): 0.0}
        for _ in range(self.levels):
            likely = {child: have + more for path, have in likely.items() for child, more in extend(path).items()}
        return {
            self.paths.index(path): (1 - weight) * value + weight * self.judge(user, path) / temperature
            for path, value in likely.items()
        }

    def slow_beam(
        self, user: int, levels: Levels, temperature: float, removed: set[int]
    ) -> tuple[list[set[int]], dict[int, float]]:
        """The algorithm as METHOD writes it, (W, C, λ) per level: nodes kept at each level, scores of the answer."""
        extend = self.extensions(user, removed)
        beams: dict[Path, float] = {(): 0.0}
        kept, scores = [], {}
        for width, candidates, weight in levels:
            drafts = [(have + more, child) for path, have in beams.items() for child, more in extend(path).items()]
            drafts = sorted(drafts, reverse=True)[:candidates]
            blended = [
                ((1 - weight) * value + weight * self.judge(user, path) / temperature, value, path)
                for value, path in drafts
            ]
            best = sorted(blended, reverse=True)[:width]
            beams = {path: value for _, value, path in best}
            scores = {path: score for score, _, path in best}
            kept.append({self.places[path] for path in beams})
        return kept, {self.paths.index(path): score for path, score in scores.items()}


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
    trie = Trie(codes, sizes)
    return World(
        codes=codes,
        sizes=sizes,
        batch=UserBatch(history, lengths),
        generator=ToyCodes(
            sizes,
            numbers(rng, len(codes), FEATURES),
            [numbers(rng, math.prod(sizes[:b]), size, FEATURES) for b, size in enumerate(sizes)],
            history=int(rng.integers(2, 9)),
        ),
        reward=ToyRewards([numbers(rng, count, FEATURES) for count in trie.nodes]),
    )


def numbers(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.normal(size=shape).astype(np.float32))


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Tensors this small only wait for each other on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def worlds() -> list[World]:
    """A hundred random worlds."""
    return [draw_world(seed) for seed in range(100)]


@pytest.fixture(scope="session")
def drawn() -> World:
    """Four items whose probabilities and rewards are written out; one user, whose past is item 0.

    First code: 0 with .6, 1 with .4. Items A = (0, 0) .33, B = (0, 1) .27, C = (1, 0) .36, D = (1, 2) .04; the logits
    of the forbidden paths (0, 2) and (1, 1) are huge. Rewards: code 0: -1, code 1: 2; A 0, B 1, C -1, D 3.
    """

    def table(*rows: list[float]) -> Tensor:  # the user's features are 1, 0, 0, 0
        return torch.tensor(rows).unsqueeze(-1) * torch.tensor([1.0, 0, 0, 0])

    first = [math.log(0.6), math.log(0.4)]
    second = [[math.log(0.55), math.log(0.45), 9.0], [math.log(0.9), 9.0, math.log(0.1)]]
    return World(
        codes=np.array([[0, 0], [0, 1], [1, 0], [1, 2]]),
        sizes=(2, 3),
        batch=UserBatch(torch.tensor([[0]]), torch.tensor([1])),
        generator=ToyCodes((2, 3), torch.eye(FEATURES)[[0, 0, 0, 0]], [table(first), table(*second)], history=5),
        reward=ToyRewards([table([0.0])[0], table([-1.0, 2.0])[0], table([0.0, 1.0, -1.0, 3.0])[0]]),
    )


@pytest.fixture(scope="session")
def assert_same() -> Callable[..., None]:
    """Compares a row of a ranking with scores by item: the best k, falling, then -1 and -inf."""

    def check(items: Tensor, scores: Tensor, expected: dict[int, float]) -> None:
        wanted = sorted(expected, key=lambda item: -expected[item])[: len(items)]
        assert items.tolist() == wanted + [-1] * (len(items) - len(wanted))
        values = [expected[item] for item in wanted] + [-math.inf] * (len(items) - len(wanted))
        assert scores.tolist() == pytest.approx(values, rel=1e-4, abs=1e-4)

    return check
