"""Time of a search by size of the catalogue, and the size from which on it is cheaper than scoring all items."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from omegaconf import DictConfig

from promise.bench.measure import Measure, Measurement, interleaved
from promise.bench.worlds import World, batches, draw_users, sizes, world
from promise.ids.trie import Trie

#: What a search asks of a trie; whatever of it is asked is replayed.
_QUESTIONS = ("children_of", "child", "allowed", "branching", "item_of")

#: Scores of items in one timed call of the reward over a catalogue; it takes so many fewer users.
_SCORES = 16_000_000


def in_items(cfg: DictConfig) -> Iterator[Measure]:
    """Time of a search at 10⁷ over that at 10⁴ items, and the trie's share of both."""
    s = sizes(cfg)
    functions: dict[str, Callable[[], object]] = {}
    for name, items in (("1e4", s.small), ("1e7", s.huge)):
        ours = world(items, s.history, s.network, device=cfg.bench.device)
        users = draw_users(s.batch, items, s.history, cfg.bench.device)
        search = ours.search("guided", width=s.width, candidates=4 * s.width)
        functions[name] = partial(search.rank, users, s.width)
        functions[f"{name} trie"] = trie_work(ours, functions[name])
    timings = interleaved(functions, cfg.bench.repeats)
    note = f"guided, dot, C=4W, W={s.width}, prefix_table=none, batch {s.batch}"
    replayed = f"{note}; child look-up, masking, item look-up, replayed"
    for name, part, whole, goal, what in (
        ("trie_share_1e4", "1e4 trie", "1e4", 0.05, replayed),
        ("trie_share_1e7", "1e7 trie", "1e7", 0.10, replayed),
        ("items_1e7_over_1e4", "1e7", "1e4", 1.15, note),
    ):
        yield timings[part].time(timings[whole], name, goal=goal, note=what)


def trie_work(ours: World, search: Callable[[], object]) -> Callable[[], object]:
    """The questions of a search to its trie, to be asked again: the same nodes, and the masking of as many logits."""
    asked: list[Callable[[], Any]] = []
    listed: list[tuple[int, torch.Tensor]] = []
    trie = ours.trie

    def record(name: str, *arguments: Any) -> Any:
        asked.append(partial(getattr(Trie, name), trie, *arguments))
        if name == "children_of":
            listed.append(arguments)
        return asked[-1]()

    for name in _QUESTIONS:
        setattr(trie, name, partial(record, name))
    try:
        search()
    finally:
        for name in _QUESTIONS:
            delattr(trie, name)
    logits = [torch.zeros(*nodes.shape, trie.level_sizes[depth], device=nodes.device) for depth, nodes in listed]

    @torch.inference_mode()
    def replay() -> None:
        answers = iter(logits)
        for question in asked:
            answer = question()
            if hasattr(answer, "valid"):
                next(answers).gather(-1, answer.codes).masked_fill(~answer.valid, -torch.inf)

    return replay


def crossing(cfg: DictConfig) -> Iterator[Measure]:
    """Guided search against the reward over all items of growing catalogues: who is cheaper, and from where on."""
    s = sizes(cfg)
    catalogues = (1_000, 10_000, 100_000, 1_000_000) if not cfg.bench.quick else (s.small, s.huge)
    curves: dict[str, list[float]] = {"seconds": [], "flops": []}
    note = f"guided, W={s.width}, C={4 * s.width}, dot, beside the same reward of all items"
    for items in catalogues:
        ours = world(items, s.history, s.network, device=cfg.bench.device)
        users = draw_users(s.batch, items, s.history, cfg.bench.device)
        few = batches(users, min(s.batch, max(1, _SCORES // items)))[0]
        share = s.batch / len(few.history)
        guided = ours.search("guided", width=s.width, candidates=4 * s.width)
        scored = ours.search("exhaustive", weight=1.0)
        functions = {"guided": partial(guided.rank, users, 10), "all": partial(scored.rank, few, 10)}
        timings = interleaved(functions, cfg.bench.repeats)
        seconds = timings["all"].over(timings["guided"], share)
        ours_ms, theirs_ms = 1e3 * timings["guided"].median / s.batch, 1e3 * timings["all"].median / len(few.history)
        yield Measure(f"seconds_at_{items}", "ms/user", ours_ms, theirs_ms, note=note, **seconds)
        part, whole = (search.rank(few, 10).cost.flops / len(few.history) / 1e6 for search in (guided, scored))
        yield Measure(f"flops_at_{items}", "MFLOP/user", part, whole, whole / part, note=note)
        curves["seconds"].append(seconds["ratio"])
        curves["flops"].append(whole / part)
    for name, ratios in curves.items():
        point = crossing_point(catalogues, ratios)
        outside = point is None or point > catalogues[-1]
        known = f"; measured at {catalogues[0]:,} .. {catalogues[-1]:,} items" if outside else ""
        yield Measure(f"crossing_{name}", "items", point, note=f"from here on guided search is the cheaper{known}")


def crossing_point(catalogues: Sequence[int], ratios: Sequence[float]) -> float | None:
    """The catalogue at which a ratio reaches 1; it grows linearly with the items, also beyond the last catalogue.

    >>> [crossing_point((0, 2, 4), ratios) for ratios in ((0.5, 0.75, 1.25), (0.25, 0.5, 0.75), (2, 3, 4))]
    [3.0, 6.0, None]
    """
    if ratios[0] >= 1:
        return None
    for (before, low), (after, high) in pairwise(zip(catalogues, ratios, strict=True)):
        if high > low and (high >= 1 or after == catalogues[-1]):
            return before + (1 - low) * (after - before) / (high - low)
    return None


MEASURES: dict[str, Measurement] = {"items": in_items, "crossing": crossing}
