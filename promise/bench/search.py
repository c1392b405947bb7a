"""The speed of the search beside the peers', and with a reward model beside without."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig

from promise.bench.measure import TYPES, Measure, Measurement, interleaved, type_name
from promise.bench.peers import Cornac, HuggingFace
from promise.bench.worlds import CODES, LEVELS, World, catalogue, draw_users, searching, sizes, world
from promise.search.protocols import UserRows

#: Users that cornac searches for in one turn; it takes them one at a time.
_CORNAC_USERS = 8


def build(cfg: DictConfig, reward: str = "dot") -> World:
    """The world of the comparisons, at the width D of the peers."""
    s = sizes(cfg)
    return world(s.items, s.history, s.network, reward, cfg.bench.device)


def at_best(search: Any, users: UserRows, batch: int, k: int, dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """Our side at the fastest of three batch sizes (the given one, twice it, all users), three trials each; and it."""
    trials = {size: searching(search, users, size, k, dtype) for size in (batch, 2 * batch, len(users.history))}
    timings = interleaved({str(size): run for size, run in trials.items()}, repeats=3)
    best = min(trials, key=lambda size: timings[str(size)].median)
    return trials[best], best


def hugging_face(cfg: DictConfig) -> Iterator[Measure]:
    """Plain beam search against T5's `generate`, fed one token per code as usual, and one per item as ours is."""
    s, device = sizes(cfg), cfg.bench.device
    codes, built, users = catalogue(s.items), build(cfg), draw_users(s.users, s.items, s.history, device)
    inputs_each = {"vs_hf": False, "vs_hf_equal_input": True}
    for suffix, dtype in TYPES.items():
        peer = HuggingFace(codes, (CODES,) * LEVELS, s.dim, s.heads, s.layers, device, dtype)
        run, size = at_best(built.search("plain", width=s.width), users, s.batch, s.width, dtype)
        functions, settings = {"ours": run}, {}
        for name, one_each in inputs_each.items():
            inputs = peer.inputs(users.history[:64], one_each)
            batch, use_cache = settings[name] = peer.best(inputs, s.width)
            functions[name] = partial(peer.search, inputs[:batch], s.width, use_cache)
            check_legal(built, peer.codes_of(peer.search(inputs[:batch], s.width, use_cache)), name)
        timings = interleaved(functions, cfg.bench.repeats)
        for (name, (batch, use_cache)), goal in zip(settings.items(), (10.0, 4.0), strict=True):
            tokens = peer.inputs(users.history[:1], inputs_each[name]).shape[1]
            theirs = f"HF {tokens} tokens, batch {batch}, cache {'on' if use_cache else 'off'}"
            note = f"W={s.width}, {s}; ours batch {size}; {theirs}"
            named = {"name": name + suffix, "unit": "users/s", "dtype": type_name(dtype)}
            yield timings["ours"].rate(timings[name], (s.users, batch), goal=goal, note=note, **named)


def cornac(cfg: DictConfig) -> Iterator[Measure]:
    """Plain beam search against the beam of cornac's TIGER, one user at a time."""
    s, device = sizes(cfg), cfg.bench.device
    codes, built, users = catalogue(s.items), build(cfg), draw_users(s.users, s.items, s.history, device)
    few = users.history[:_CORNAC_USERS]
    for suffix, dtype in TYPES.items():
        peer = Cornac(codes, (CODES,) * LEVELS, s.dim, s.heads, s.layers, device, dtype)
        run, size = at_best(built.search("plain", width=s.width), users, s.batch, s.width, dtype)
        theirs = partial(peer.search, few, s.width)
        check_legal(built, torch.tensor(theirs(), device=device), "vs_cornac")
        timings = interleaved({"ours": run, "theirs": theirs}, cfg.bench.repeats)
        note = f"W={s.width}, {s}; ours batch {size}; cornac B=1"
        named = {"name": f"vs_cornac{suffix}", "unit": "users/s", "dtype": type_name(dtype)}
        yield timings["ours"].rate(timings["theirs"], (s.users, len(few)), goal=30.0, note=note, **named)


def check_legal(ours: World, paths: torch.Tensor, name: str) -> None:
    """Raise RuntimeError unless the peer's paths (B, W, L) are items, and a user's are distinct."""
    leaves = ours.trie.node_of(paths)
    if (leaves < 0).any() or not all(len(row.unique()) == len(row) for row in leaves):
        raise RuntimeError(f"{name}: the peer's answers are not all distinct items")


def guided(cfg: DictConfig) -> Iterator[Measure]:
    """Guided search, C = 4 W, against plain beam search of the same width."""
    s = sizes(cfg)
    users = draw_users(s.users, s.items, s.history, cfg.bench.device)
    goals = {"dot": 1.10, "cross_attention": 1.25}
    worlds = {reward: build(cfg, reward) for reward in goals}
    searches = {reward: w.search("guided", width=s.width, candidates=4 * s.width) for reward, w in worlds.items()}
    searches["plain"] = worlds["dot"].search("plain", width=s.width)
    functions = {name: searching(search, users, s.batch, s.width) for name, search in searches.items()}
    timings = interleaved(functions, cfg.bench.repeats)
    for reward, goal in goals.items():
        name = f"{'guided' if reward == 'dot' else reward}_over_plain"
        note = f"C={4 * s.width}, {reward}; W={s.width}, {s}; batch {s.batch}"
        yield timings[reward].time(timings["plain"], name, "ms/user", s.users, goal=goal, note=note)


MEASURES: dict[str, Measurement] = {"hf": hugging_face, "cornac": cornac, "guided": guided}
