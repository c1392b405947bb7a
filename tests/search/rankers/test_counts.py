"""Popularity and co-visit against textbook loops."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from scipy import sparse

from promise.search.protocols import Ranker, UserRows
from promise.search.rankers.all_items import AllItems
from promise.search.rankers.counts import CoVisit, CoVisitText, Popularity
from tests.search.oracles import permitted


class Shop(NamedTuple):
    """Training sequences as lists and flat; users with histories, some with repeats."""

    sequences: list[list[int]]
    training: tuple[np.ndarray, np.ndarray]
    item_count: int
    batch: UserRows

    def past(self, user: int) -> list[int]:
        return self.batch.history[user, : int(self.batch.lengths[user])].tolist()


def draw_shop(seed: int) -> Shop:
    rng = np.random.default_rng(seed)
    item_count = int(rng.choice([1, 2, 5, 20]))
    sequences = [rng.integers(item_count, size=rng.integers(0, 7)).tolist() for _ in range(rng.integers(1, 9))]
    offsets = np.cumsum([0, *map(len, sequences)])
    flat = np.array([item for sequence in sequences for item in sequence], dtype=np.int32)
    lengths = torch.from_numpy(rng.integers(0 if seed % 5 == 0 else 1, 6, size=4))
    history = torch.from_numpy(rng.integers(item_count, size=(4, 5)))
    history[torch.arange(5) >= lengths[:, None]] = 0
    return Shop(sequences, (flat, offsets), item_count, UserRows(history, lengths))


SHOPS = [draw_shop(seed) for seed in range(60)]


class Counting(NamedTuple):
    """Dials of a co-visit baseline."""

    window: int
    decay: float = 1.0
    backward: float = 1.0
    rarity: float = 0.5


def slow_similarity(shop: Shop, dials: Counting) -> dict[tuple[int, int], float]:
    counts = [sum(sequence.count(item) for sequence in shop.sequences) for item in range(shop.item_count)]
    similarity: dict[tuple[int, int], float] = {}
    for sequence in shop.sequences:
        for i, one in enumerate(sequence):
            for j, other in enumerate(sequence):
                if one != other and 1 <= abs(i - j) <= dials.window:
                    weight = (1.0 if j > i else dials.backward) / abs(i - j) ** dials.decay
                    weight /= (counts[one] * counts[other]) ** dials.rarity
                    similarity[one, other] = similarity.get((one, other), 0.0) + weight
    return similarity


Scores = dict[int, float]


def slow_popularity(shop: Shop, user: int) -> Scores:
    return {item: sum(sequence.count(item) for sequence in shop.sequences) for item in range(shop.item_count)}


def slow_co_visit(dials: Counting, recent: int | None, shop: Shop, user: int) -> Scores:
    similarity = slow_similarity(shop, dials)
    scores = dict.fromkeys(range(shop.item_count), 0.0)
    for recency, item in enumerate(reversed(shop.past(user)), start=1):
        if recent is None or recency <= recent:
            for other in scores:
                scores[other] += similarity.get((item, other), 0.0) / recency
    return {item: score for item, score in scores.items() if score > 0}


def draw_words(shop: Shop) -> tuple[sparse.csr_array, list[dict[int, float]]]:
    """Weights of words in the items, as rows of length 1 or 0 and as dictionaries."""
    rng = np.random.default_rng(shop.item_count)
    dense = rng.random((shop.item_count, 6)) * (rng.random((shop.item_count, 6)) < 0.4)
    norms = np.linalg.norm(dense, axis=1, keepdims=True)
    dense = np.divide(dense, norms, out=dense, where=norms > 0).astype(np.float32)
    return sparse.csr_array(dense), [{word: row[word] for word in np.flatnonzero(row)} for row in dense]


def slow_co_visit_text(text_weight: float, shop: Shop, user: int) -> Scores:
    """Every score weighed by the likeness to the last item."""
    scores, (_, words) = slow_co_visit(Counting(3), None, shop, user), draw_words(shop)
    for item in scores:
        last = words[shop.past(user)[-1]]
        scores[item] *= 1 + text_weight * sum(weight * last.get(word, 0.0) for word, weight in words[item].items())
    return scores


def popularity(shop: Shop, **lists: Any) -> Popularity:
    return Popularity(training=shop.training, item_count=shop.item_count, **lists)


def co_visit(dials: Counting, recent: int | None, shop: Shop, **lists: Any) -> CoVisit:
    return CoVisit(*dials, recent, training=shop.training, item_count=shop.item_count, **lists)


def co_visit_text(text_weight: float, shop: Shop, **lists: Any) -> CoVisitText:
    given: dict[str, Any] = {"training": shop.training, "item_count": shop.item_count, **lists}
    return CoVisitText(text_weight, words=draw_words(shop)[0], **Counting(3)._asdict(), recent=None, **given)


COUNTINGS = [
    (Counting(1), None), (Counting(3), None), (Counting(3), 1), (Counting(9), 2),
    (Counting(4, decay=0.7, backward=0.35, rarity=0.3), None), (Counting(4, 0.0, 0.0, 0.0), 2),
]  # fmt: skip
BASELINES: list[tuple[Callable[..., Ranker], Callable[[Shop, int], Scores]]] = [
    (popularity, slow_popularity),
    *((partial(co_visit, *dials), partial(slow_co_visit, *dials)) for dials in COUNTINGS),
    *((partial(co_visit_text, weight), partial(slow_co_visit_text, weight)) for weight in (0.0, 1.0, 30.0)),
]


@pytest.mark.parametrize(("make", "slow"), BASELINES)
def test_a_baseline_is_the_textbooks_in_parts_or_at_once_with_any_lists(make, slow, monkeypatch):
    rng = np.random.default_rng(0)
    for seed, shop in enumerate(SHOPS[:30]):
        monkeypatch.setattr(AllItems, "scores_at_once", (1, 40, 1 << 24)[seed % 3])
        count, scores = shop.item_count, [slow(shop, user) for user in range(4)]
        always = {"allow": rng.integers(count, size=count), "deny": rng.integers(-1, count, size=count // 3)}
        for place, (lists, remove_seen) in enumerate((({}, False), ({}, True), (always, True))):
            k = (50, 3, 4)[place]
            ranking = make(shop, **lists, remove_seen=remove_seen).rank(shop.batch, k)
            for user in range(4):
                left = permitted(count, shop.past(user) if remove_seen else (), lists)
                expected = {item: score for item, score in scores[user].items() if item in left}
                best = sorted(expected.values(), reverse=True)[:k]
                items, found = ranking.items[user].tolist(), ranking.scores[user].tolist()
                absent = len(items) - len(best)
                assert items[len(best) :] == [-1] * absent and len(set(items[: len(best)])) == len(best)
                np.testing.assert_allclose(found, best + [-math.inf] * absent, rtol=1e-4)
                np.testing.assert_allclose([expected[item] for item in items[: len(best)]], best, rtol=1e-4)


def test_batch_order_and_padding_do_not_matter() -> None:
    for shop in SHOPS[:20]:
        flipped = UserRows(torch.nn.functional.pad(shop.batch.history, (0, 2)).flip(0), shop.batch.lengths.flip(0))
        for ranker in (popularity(shop, remove_seen=True), co_visit(Counting(3), None, shop, remove_seen=True)):
            ranking = ranker.rank(shop.batch, 3)
            assert torch.equal(ranker.rank(flipped, 3).items.flip(0), ranking.items)
            assert ranking.kept == [] and (ranking.cost.users, ranking.cost.decoder_tokens) == (4, 0)
