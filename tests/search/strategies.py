"""Worlds and dials as hypothesis draws them: any shape of catalogue and history, networks toy or real."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st

from promise.ids.trie import Trie
from promise.models.cooccurrence import wrap
from promise.models.generator import Generator
from promise.models.reward import CrossAttentionReward, DotReward, RewardModel
from promise.search.protocols import UserRows
from tests.search.oracles import Path, Say, permitted
from tests.search.worlds import World, toy_world

#: The same examples in every run, and nothing written to disk.
repeatable = settings(derandomize=True, deadline=None, database=None)

#: Scores nearer than this may change places by rounding.
CLEAR = 1e-3

TOY, NETWORKS = ("toy",), ("dot", "cross_attention")
DIM = 16


@st.composite
def catalogues(draw: st.DrawFn, most: int = 30) -> tuple[np.ndarray, tuple[int, ...]]:
    """Codes (I, L) and level sizes: uneven, with single-child chains, from one item on."""
    sizes = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    path = st.tuples(*(st.integers(0, size - 1) for size in sizes))
    paths = draw(st.lists(path, min_size=1, max_size=min(most, math.prod(sizes)), unique=True))
    return np.array(paths), sizes


@st.composite
def batches(draw: st.DrawFn, items: int) -> UserRows:
    """Histories of 1..7 items with repeats; any items in the padding."""
    users, width = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    row = st.lists(st.integers(0, items - 1), min_size=width, max_size=width)
    history = draw(st.lists(row, min_size=users, max_size=users))
    lengths = draw(st.lists(st.integers(1, width), min_size=users, max_size=users))
    return UserRows(torch.tensor(history), torch.tensor(lengths))


@st.composite
def worlds(draw: st.DrawFn, kinds: tuple[str, ...] = TOY + NETWORKS, most: int = 30) -> World:
    """A world with networks of one of the kinds; their weights come from a seed, so that scores hardly ever tie."""
    codes, sizes = draw(catalogues(most))
    batch = draw(batches(len(codes)))
    kind, seed, history = draw(st.sampled_from(kinds)), draw(st.integers(0, 2**16)), draw(st.integers(2, 8))
    if kind == "toy":
        return toy_world(codes, sizes, seed, batch, history)
    attention = draw(st.sampled_from(["causal", "bidirectional"]))
    trie, dials = Trie(codes, sizes), {"history": history, "attention": attention, "counted": draw(st.booleans())}
    generator, judge = networks(trie, torch.from_numpy(codes), kind, seed, **dials)
    return NetworkWorld(codes, sizes, batch, generator, judge)


def networks(
    trie: Trie, codes: torch.Tensor, kind: str, seed: int, dim: int = DIM, counted: bool = True, **changes: Any
) -> tuple[Any, RewardModel]:
    """A generator and a reward model of the kind, with weights large enough that every path differs."""
    torch.manual_seed(seed)
    chosen = {"encoder_layers": 1, "decoder_layers": 2, "heads": 2, "dropout": 0.1, "history": 8} | changes
    generator = Generator(
        **{"dim": dim, "attention": "causal", "item_vectors": True, "content": False, **chosen},
        codes=codes,
        level_sizes=trie.level_sizes,
    )
    given: dict[str, Any] = {"prefix_table": "full", "dropout": 0.1, "content": False, "user_dim": dim}
    given |= {"prefixes": [trie.prefixes(d + 1) for d in range(trie.levels)], "level_sizes": trie.level_sizes}
    if kind == "dot":
        reward: RewardModel = DotReward(dim=dim, temperature=5.0, **given)
    else:
        reward = CrossAttentionReward(dim=dim // 2, heads=2, blocks=2, **given)
    if not counted:
        return shaken(generator), shaken(reward)
    count = len(codes)
    near = (torch.arange(count)[:, None] + torch.tensor([1, 5])) % count
    tables = {"co_visits.items": near, "co_visits.counts": torch.full((count, 2), 1.5)}
    tables["co_visits.factors"] = torch.full((count, 2), 0.02)
    config = {"neighbours": 2, "text_neighbours": 0, "window": 2, "decay": 1.0, "backward": 1.0}
    wrapped = wrap(config, generator, reward, tables, codes)
    return shaken(wrapped[0]), shaken(wrapped[1])


def shaken(network: Any) -> Any:
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.3 * torch.randn(weight.shape)
    return network.eval()


@dataclass
class NetworkWorld(World):
    """A world whose oracle hears the networks as their training does: whole paths at once, one user, no cache."""

    heard: dict[int, dict[Path, list[float]]] = field(default_factory=dict)
    judged: dict[int, dict[Path, float]] = field(default_factory=dict)

    def alone(self, user: int) -> Any:
        """User states of one user, unpadded."""
        past = self.past(user)[-self.generator.history :]
        return self.generator.encode(torch.tensor([past]), torch.tensor([len(past)]))

    @torch.no_grad()
    def say(self, user: int) -> Say:
        """The user's logits as teacher forcing has them."""
        if user not in self.heard:
            states, paths = self.alone(user), torch.from_numpy(self.codes)[None]  # (1, I, L)
            positions = (states.lengths - 1)[:, None].expand(-1, self.items)
            logits = self.generator.teacher_forced(states, positions, paths)
            self.heard[user] = {
                path[:depth]: values
                for depth, level in enumerate(logits)
                for path, values in zip(self.paths, level[0].tolist(), strict=True)
            }
        return self.heard[user].__getitem__

    @torch.no_grad()
    def judge(self, user: int, path: Path) -> float:
        """The user's reward of a path as the contrast of training has it."""
        if user not in self.judged:
            states = self.alone(user)
            rewards: list[float] = []
            for depth in range(1, self.levels + 1):
                nodes = torch.arange(self.trie.nodes[depth])[None]  # (1, N)
                positions = (states.lengths - 1)[:, None].expand_as(nodes)
                negatives = nodes[0, :1] if self.reward.shares_negatives else nodes.unsqueeze(-1)
                rewards += self.reward.contrast(states, positions, depth, nodes, negatives)[0][0].tolist()
            prefixes = [p for p in sorted(self.places, key=lambda p: (len(p), self.places[p])) if p]
            self.judged[user] = dict(zip(prefixes, rewards, strict=True))
        return self.judged[user][path]


@st.composite
def dials(draw: st.DrawFn, levels: int) -> dict[str, Any]:
    """Dials of a beam search, some of them one per level; beams wider than the catalogue too; in parts or at once."""

    def spread(values: st.SearchStrategy[Any]) -> Any:
        return draw(values | st.lists(values, min_size=levels, max_size=levels))

    return {
        "width": spread(st.integers(1, 6) | st.just(50)),
        "expansion": spread(st.sampled_from([1, 1.5, 2, 5])),
        "weight": spread(st.sampled_from([0, 0.3, 1])),
        "temperature": draw(st.sampled_from([0.5, 1, 3])),
        "rerank": draw(st.booleans()),
        "max_bytes": draw(st.sampled_from([1, 2**30])),
    }


@st.composite
def restrictions(draw: st.DrawFn, world: World) -> tuple[dict[str, Any], list[set[int]]]:
    """What a ranker is made with, and what that takes from each user, set by set."""
    always: dict[str, Any] = {}
    for name in ("allow", "deny"):
        one = draw(st.none() | st.lists(st.integers(0, world.items - 1), min_size=1, max_size=12))
        always[name] = None if one is None else torch.tensor(one)
    seen = draw(st.booleans())
    users = range(len(world.batch.lengths))
    left = [permitted(world.items, world.past(user) if seen else [], always) for user in users]
    return {**always, "remove_seen": seen}, [set(range(world.items)) - own for own in left]
