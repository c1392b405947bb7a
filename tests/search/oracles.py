"""The searches in plain Python, one user and one path at a time: dictionaries and floats, no tensors."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from promise.search.protocols import Ranking

Path = tuple[int, ...]
Say = Callable[[Path], Sequence[float]]  # logits of every code that may stand after a path, for one user
Judge = Callable[[Path], float]  # reward of a path, for one user
Levels = Sequence[tuple[int, int, float]]  # (W, C, λ) of every level


class DictTrie:
    """A prefix trie of dictionaries: which codes may follow a path, which item a whole path names.

    Args:
        paths: The path of every item.
        without: Items that are left out.
    """

    def __init__(self, paths: Sequence[Path], without: Iterable[int] = ()) -> None:
        left_out = set(without)
        self.levels = len(paths[0])
        self.items = {path: item for item, path in enumerate(paths) if item not in left_out}
        self.codes: dict[Path, list[int]] = {}
        for path in sorted(self.items):
            for depth in range(self.levels):
                codes = self.codes.setdefault(path[:depth], [])
                if path[depth] not in codes:
                    codes.append(path[depth])

    def places(self) -> dict[Path, int]:
        """Of every prefix its place among those of its length, in lexicographic order: the node numbers of a trie."""
        depths = [sorted({path[:depth] for path in self.items}) for depth in range(self.levels + 1)]
        return {path: place for paths in depths for place, path in enumerate(paths)}

    def extend(self, path: Path, say: Say) -> dict[Path, float]:
        """log p of every path that is one code longer, by a softmax over the codes that may follow."""
        codes = self.codes.get(path, [])
        logits = say(path) if len(codes) > 1 else [0.0] * (max(codes, default=0) + 1)  # an only child is certain
        peak = max((logits[code] for code in codes), default=0.0)
        total = peak + math.log(sum(math.exp(logits[code] - peak) for code in codes)) if codes else 0.0
        return {(*path, code): logits[code] - total for code in codes}


def mixed(log_prob: float, path: Path, judge: Judge, weight: float, temperature: float) -> float:
    """(1 - λ) log p + λ r / temperature."""
    return log_prob if weight == 0 else (1 - weight) * log_prob + weight * judge(path) / temperature


def exhaustive_scores(
    trie: DictTrie, say: Say, judge: Judge, weight: float, temperature: float = 1.0
) -> dict[int, float]:
    """The score of every item, path by path."""
    paths: dict[Path, float] = {(): 0.0}
    for _ in range(trie.levels):
        paths = {child: have + more for path, have in paths.items() for child, more in trie.extend(path, say).items()}
    return {trie.items[p]: mixed(v, p, judge, weight, temperature) for p, v in paths.items() if p in trie.items}


class Found(NamedTuple):
    """What a slow search found.

    Attributes:
        kept: The paths that were kept at every level.
        scores: Score of every item of the answer.
        gap: The smallest distance of two scores that a cut told apart; results below rounding are a matter of luck.
    """

    kept: list[set[Path]]
    scores: dict[int, float]
    gap: float


def guided_search(trie: DictTrie, say: Say, judge: Judge, levels: Levels, temperature: float = 1.0) -> Found:
    """METHOD's algorithm: extend, keep the C likeliest, cut to W by score, carry the log-probability on."""
    beams: dict[Path, float] = {(): 0.0}
    kept, scores, gap = [], {}, math.inf
    for width, candidates, weight in levels:
        drafts = [
            (have + more, child) for path, have in beams.items() for child, more in trie.extend(path, say).items()
        ]
        drafts, near = cut(drafts, candidates)
        beams = {path: value for value, path in drafts}
        best, close = cut([(mixed(v, p, judge, weight, temperature), p) for v, p in drafts], width)
        beams = {path: beams[path] for _, path in best}
        scores = {path: score for score, path in best}
        kept.append(set(beams))
        gap = min(gap, near, close)
    return Found(
        kept, {trie.items[p]: s for p, s in scores.items() if p in trie.items}, min(gap, nearest(scores.values()))
    )


def cut(scored: list[tuple[float, Path]], count: int) -> tuple[list[tuple[float, Path]], float]:
    """The `count` best, best first, and how far the last of them is from the first that was left."""
    ranked = sorted(scored, reverse=True)
    return ranked[:count], ranked[count - 1][0] - ranked[count][0] if len(ranked) > count else math.inf


def nearest(scores: Iterable[float]) -> float:
    """The smallest distance of two scores."""
    return min((b - a for a, b in pairwise(sorted(scores))), default=math.inf)


def levels_of(dials: Mapping[str, Any], levels: int) -> Levels:
    """(W, C, λ) of every level as the dials say it, without the shortcuts of a plan."""

    def spread(value: Any) -> list[Any]:
        return list(value) if isinstance(value, list | tuple) else [value] * levels

    widths, weights = spread(dials["width"]), spread(dials["weight"])
    counts = [round(w * e) for w, e in zip(widths, spread(dials["expansion"]), strict=True)]
    if dials["rerank"]:
        widths, weights = [*counts[:-1], widths[-1]], [0] * (levels - 1) + weights[-1:]
    return list(zip(widths, counts, weights, strict=True))


def assert_ranks(ranking: Ranking, user: int, expected: dict[int, float]) -> None:
    """The user's row holds the expected items, best first, then nothing."""
    items, scores = ranking.items[user].tolist(), ranking.scores[user].tolist()
    wanted = sorted(expected, key=lambda item: -expected[item])
    nothing = len(items) - len(wanted)
    assert items == wanted + [-1] * nothing
    assert scores == pytest.approx([expected[i] for i in wanted] + [-math.inf] * nothing, rel=1e-4, abs=1e-4)


def permitted(count: int, seen: Iterable[int], lists: Mapping[str, Any]) -> set[int]:
    """The items that a user may be given, set by set: of lists `allow` and `deny`, where they are there."""
    own = {name: [int(item) for item in items] for name, items in lists.items() if items is not None}
    return (set(range(count)) - set(seen)) & set(own.get("allow", range(count))) - set(own.get("deny", ()))
