"""Worlds to measure in: catalogues in which every prefix branches, untrained networks, users of equal histories."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig

from promise import configs
from promise.ids.semantic_ids import SemanticIds
from promise.ids.trie import Trie
from promise.pipeline.config import make, plain
from promise.pipeline.networks import NetworkInputs, build_networks
from promise.search.protocols import UserRows, split

LEVELS, CODES = 4, 256


@dataclass(frozen=True)
class Sizes:
    """Sizes of the worlds; `quick` ones only show that everything runs.

    Attributes:
        items: Catalogue of the size of Amazon Beauty.
        union: Catalogue of the size of amazon_union.
        small, large, huge: Catalogues that are called 1e4, 1e6 and 1e7.
        dim, heads, layers: Width of the networks, attention heads, blocks of encoder and of decoder.
        test_generator, peak_generator: Options `generator=` for the whole test set, and where the machine is the limit.
        history: Items of a history.
        width: Beams W.
        users: Users of one timed call of ours, in batches of `batch`.
        batch: Users searched for at once.
    """

    items: int = 12_101
    union: int = 177_580
    small: int = 10_000
    large: int = 1_000_000
    huge: int = 10_000_000
    dim: int = 128
    heads: int = 4
    layers: int = 4
    test_generator: str = "small"
    peak_generator: str = "base"
    history: int = 20
    width: int = 50
    users: int = 256
    batch: int = 64

    @property
    def network(self) -> list[str]:
        """The generator of these sizes, as overrides of its config."""
        layers = [f"generator.{part}_layers={self.layers}" for part in ("encoder", "decoder")]
        return [f"generator.dim={self.dim}", f"generator.heads={self.heads}", *layers]

    def __str__(self) -> str:
        """The sizes that both sides of a comparison share, in words."""
        shape = f"{self.layers}+{self.layers} layers, D={self.dim}"
        return f"{shape}, {self.items:,} items, {self.history} items of history"


QUICK = Sizes(
    items=300, union=500, small=200, large=400, huge=600, dim=16, heads=2, layers=1, test_generator="tiny",
    peak_generator="tiny", history=5, width=4, users=8, batch=4,
)  # fmt: skip


def sizes(cfg: DictConfig) -> Sizes:
    """The sizes that `bench.quick` chooses."""
    return QUICK if cfg.bench.quick else Sizes()


def batches(users: UserRows, size: int) -> list[UserRows]:
    """The same users, `size` at a time."""
    return [rows for _, rows in split(users, size)]


def draw_users(count: int, items: int, history: int, device: str = "cpu") -> UserRows:
    """Users with histories of one length, drawn evenly from the catalogue."""
    drawn = np.random.default_rng(1).integers(items, size=(count, history))
    return UserRows(torch.from_numpy(drawn).to(device), torch.full((count,), history, device=device))


def catalogue(items: int, levels: int = LEVELS, codes: int = CODES) -> NDArray[np.int32]:
    """Semantic IDs (I, L >= 2), no two alike, whose prefixes branch wherever there are items enough, in random order.

    The first level is as wide as it can be and the others grow by one factor: 12,101 items make 256, 926, 3,347 and
    12,101 prefixes. No search can leave out a decoder row here, as it can where a prefix has a single child.
    ValueError if there are not so many paths.
    """
    if not 1 <= items <= codes**levels:
        raise ValueError(f"items must lie in 1 .. {codes**levels}, got {items}")
    random = np.random.default_rng(0)
    first = max(1, min(codes, items // 2 ** (levels - 1)))
    growth = (items / first) ** (1 / (levels - 1))
    paths = np.zeros((1, 0), dtype=np.int32)
    for nodes in (*(round(first * growth**depth) for depth in range(levels - 1)), items):
        share, rest = divmod(nodes, len(paths))
        children = np.full(len(paths), share)
        children[random.permutation(len(paths))[:rest]] += 1
        parents = np.repeat(np.arange(len(paths)), children)
        place = np.arange(nodes) - np.repeat(children.cumsum() - children, children)
        column = (random.integers(codes, size=len(paths))[parents] + place) % codes
        paths = np.column_stack([paths[parents], column.astype(np.int32)])
    return random.permutation(paths)


class World(NamedTuple):
    """A catalogue and networks over it."""

    trie: Trie
    generator: Any
    reward: Any

    def search(self, name: str, **dials: Any) -> Any:
        """The search of an option `search=name` with these dials."""
        node = {**plain(configs.compose([f"search={name}"]).search), **dials}
        return make(node, generator=self.generator, reward=self.reward, trie=self.trie)


def searching(
    search: Any, users: UserRows, batch: int, k: int, dtype: torch.dtype = torch.float32
) -> Callable[[], object]:
    """A function that ranks k items for all users, `batch` at a time, in this arithmetic."""
    parts = batches(users, batch)

    def run() -> list[Any]:
        with torch.autocast(users.history.device.type, dtype=dtype, enabled=dtype != torch.float32):
            return [search.rank(part, k) for part in parts]

    return run


def world(items: int, history: int, network: Sequence[str], reward: str = "dot", device: str = "cpu") -> World:
    """A catalogue and untrained networks of the default config, but for what is given: overrides of the generator.

    Tokens and paths are sums of code vectors alone: a vector for each of 10⁷ items would be 5 GB that no search reads.
    """
    codes = catalogue(items)
    trie = Trie(codes, (CODES,) * LEVELS)
    plainer = ("generator.item_vectors", "generator.content", "reward.content")
    words = [f"reward={reward}", f"datamodule.history={history}", "reward.prefix_table=none"]
    cfg = configs.compose([*network, *words, *(f"{name}=false" for name in plainer)])
    generator, judge = build_networks(cfg, NetworkInputs(SemanticIds(codes, trie.level_sizes, {}), trie), True)
    assert judge is not None
    return World(trie.to(device), generator.eval().to(device), judge.eval().to(device))
