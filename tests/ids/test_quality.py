"""The report of semantic IDs: a small catalogue written out, plain-Python oracles of every figure, and the advice."""

import math
from collections import Counter

import numpy as np
import pytest

from promise.ids.next_purchase import Purchases, agreement, markov_recall
from promise.ids.quality import advice, left_over, purity, quality_report
from promise.ids.semantic_ids import prefix_numbers

BEFORE = np.array([[0], [0], [0], [2]], dtype=np.int32)
AFTER = np.array([[0, 0], [0, 1], [0, 2], [2, 0]], dtype=np.int32)


def test_report_of_a_small_catalogue_written_out() -> None:
    codebook = np.array([[1.0], [9.0], [5.0]], dtype=np.float32)
    bits = [0.75 * math.log2(4 / 3) + 0.25 * 2, 0.5 + 2 * 0.25 * 2]
    assert quality_report(
        BEFORE,
        AFTER,
        (4, 3),
        moved=1,
        vectors=np.array([[0.0], [1.0], [1.0], [6.0]], dtype=np.float32),
        codebooks=[codebook],
        purchases=Purchases(np.array([[0, 1], [1, 3], [3, 0], [0, 2]]), np.array([[0, 1], [3, 2]])),
        categories=np.array([5, 5, 1, -1]),
    ) == {
        "items": 4,
        "levels": 2,
        "own_levels": 1,
        "level_sizes": [4, 3],
        "collision_rate_before": 0.75,
        "collision_rate_after": 0.0,
        "largest_bucket": 3,
        "moved": 1,
        "codes_used": [2, 3],
        "dead_codes": [2, 0],
        "entropy_bits": [pytest.approx(each) for each in bits],
        "perplexity": [pytest.approx(2**each) for each in bits],
        "gini": [pytest.approx((1 * 1 + 3 * 3) / (4 * 4)), pytest.approx((-2 * 1 + 0 * 1 + 2 * 2) / (3 * 4))],
        "prefixes": [2, 4],
        "distortion": [pytest.approx(2 / 22)],  # |x - mean|^2 = 4 + 1 + 1 + 16, |x - codeword|^2 = 1 + 0 + 0 + 1
        "distortion_after": pytest.approx(2 / 22),
        "next_share": [0.5, 0.0],
        "next_chance": [pytest.approx(0.75 * 0.75 + 0.25 * 0.25), pytest.approx((2 + 1 + 1) / 16)],
        "markov_recall": [1.0, 1.0],
        "purity": [pytest.approx(2 / 3), 1.0],
    }


def test_what_is_not_known_is_left_out() -> None:
    nothing = np.zeros((0, 2), dtype=np.int64)
    bare = quality_report(BEFORE, AFTER, (4, 3), moved=0)
    unknown = {"purchases": Purchases(nothing, nothing), "categories": np.full(4, -1)}
    assert quality_report(BEFORE, AFTER, (4, 3), moved=0, **unknown) == bare
    assert not bare.keys() & {"distortion", "next_share", "markov_recall", "purity"}
    assert left_over(np.ones((3, 2), np.float32), np.zeros((3, 1), np.int32), [np.ones((1, 2), np.float32)]) == [0.0]


def slow_recall(nodes: list[int], purchases: Purchases, k: int) -> float:
    popularity = Counter(nodes[b] for _, b in purchases.training)
    follow: dict[int, Counter] = {}
    for a, b in purchases.training:
        follow.setdefault(nodes[a], Counter())[nodes[b]] += 1
    hits = 0
    for a, b in purchases.held_out:
        seen = follow.get(nodes[a], Counter())
        listed = sorted(seen, key=lambda node: (-seen[node], -popularity[node], node))[:k]
        rest = sorted(range(max(nodes) + 1), key=lambda node: (-popularity[node], node))
        listed += [node for node in rest if node not in listed][: k - len(listed)]
        hits += nodes[b] in listed
    return hits / len(purchases.held_out)


@pytest.mark.parametrize("seed", range(40))
def test_figures_of_prefixes_as_python_counts_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = int(rng.integers(2, 60))
    codes = rng.integers(rng.integers(1, 6), size=(items, 3)).astype(np.int32)
    purchases = Purchases(rng.integers(items, size=(rng.integers(1, 80), 2)), rng.integers(items, size=(30, 2)))
    categories = rng.integers(-1, 3, size=items)
    categories[0] = 1
    for depth, nodes in enumerate(prefix_numbers(codes)):
        rows = [tuple(row[:depth]) for row in codes.tolist()]
        assert nodes.tolist() == [sorted(set(rows)).index(row) for row in rows]
        pairs = purchases.training
        dealt = [rows[a] == rows[b] for a in pairs[:, 0] for b in pairs[:, 1]]
        expected = (np.mean([rows[a] == rows[b] for a, b in pairs]), np.mean(dealt))
        assert agreement(nodes, pairs) == pytest.approx(expected)
        for k in (1, 3, 20):
            assert markov_recall(nodes, purchases, k) == pytest.approx(slow_recall(nodes.tolist(), purchases, k))
        kinds: dict[tuple, Counter] = {}
        for row, kind in zip(rows, categories.tolist(), strict=True):
            kinds.setdefault(row, Counter())[kind] += kind >= 0
        expected = sum(max(each.values()) for each in kinds.values()) / (categories >= 0).sum()
        assert purity(nodes, categories) == pytest.approx(expected)


def test_advice_in_words() -> None:
    fine = {
        "items": 9_000,
        "levels": 3,
        "own_levels": 2,
        "level_sizes": [8, 8, 4],
        "collision_rate_before": 0.1,
        "moved": 0,
    }
    fine |= {"dead_codes": [0, 0, 2], "perplexity": [7.0, 6.0, 1.0], "next_share": [0.4], "next_chance": [0.1]}
    assert advice(fine) == []
    assert advice({**fine, "collision_rate_before": 0.594, "moved": 1200}) == [
        "59 % of the items share a path: raise ids.codes or ids.levels, or set ids.balance=last_level",
        "1,200 items had to leave a full path: raise ids.codes or ids.levels",
    ]
    assert advice({**fine, "dead_codes": [1, 0, 0], "perplexity": [7.0, 3.0, 1.0], "next_share": [0.12]}) == [
        "level 1 leaves 1 of 8 codes unused: lower ids.codes",
        "level 2 spreads the items like 3 equal codes, not 8",
        "consecutive purchases share the first code 1.2 times as often as by chance: try other embeddings",
    ]
    assert advice({**fine, "prefixes": [8_100, 8_900, 9_000]}) == []
    assert advice({**fine, "prefixes": [8_101, 8_900, 9_000]}) == [
        "level 1 has 8,101 prefixes for 9,000 items, so level 2 decides little: lower ids.codes or ids.levels"
    ]
    assert advice({"levels": 1, "level_sizes": [4]}) == []  # IDs from elsewhere, without a report
