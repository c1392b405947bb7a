"""Popularity and co-visit against textbook loops."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from scipy import sparse

from promise.search.protocols import UserRows
from promise.search.rankers import counts
from promise.search.rankers.counts import CoVisit, CoVisitText, Popularity


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


def slow_co_visit(shop: Shop, user: int, dials: Counting, recent: int | None, remove_seen: bool) -> dict[int, float]:
    similarity, past = slow_similarity(shop, dials), shop.past(user)
    scores = dict.fromkeys(range(shop.item_count), 0.0)
    for recency, item in enumerate(reversed(past), start=1):
        if recent is None or recency <= recent:
            for other in scores:
                scores[other] += similarity.get((item, other), 0.0) / recency
    return {item: s for item, s in scores.items() if s > 0 and not (remove_seen and item in past)}


@pytest.mark.parametrize("remove_seen", [False, True])
def test_popularity_counts_training_interactions(remove_seen: bool) -> None:
    for shop in SHOPS:
        ranker = Popularity(training=shop.training, item_count=shop.item_count, remove_seen=remove_seen)
        for k in (1, 4, 50):
            ranking = ranker.rank(shop.batch, k)
            for user in range(4):
                counts = {i: sum(s.count(i) for s in shop.sequences) for i in range(shop.item_count)}
                left = [i for i in counts if not (remove_seen and i in shop.past(user))]
                best = sorted(left, key=lambda item: (-counts[item], item))[:k]
                items, scores = ranking.items[user].tolist(), ranking.scores[user].tolist()
                assert items == best + [-1] * (len(items) - len(best))
                assert scores == [counts[item] for item in best] + [-math.inf] * (len(items) - len(best))


@pytest.mark.parametrize("remove_seen", [False, True])
@pytest.mark.parametrize(
    ("dials", "recent"),
    [
        (Counting(1), None), (Counting(3), None), (Counting(3), 1), (Counting(9), 2),
        (Counting(4, decay=0.7, backward=0.35, rarity=0.3), None), (Counting(4, 0.0, 0.0, 0.0), 2),
    ],
)  # fmt: skip
def test_co_visit_is_the_textbook_sum(dials: Counting, recent: int | None, remove_seen: bool) -> None:
    for shop in SHOPS:
        ranker = CoVisit(*dials, recent, training=shop.training, item_count=shop.item_count, remove_seen=remove_seen)
        ranking = ranker.rank(shop.batch, 6)
        for user in range(4):
            expected = slow_co_visit(shop, user, dials, recent, remove_seen)
            items, scores = ranking.items[user].tolist(), ranking.scores[user].tolist()
            real = [item for item in items if item >= 0]
            assert items == real + [-1] * (len(items) - len(real)) and len(set(real)) == len(real)
            best = sorted(expected.values(), reverse=True)[:6]
            assert scores == pytest.approx(best + [-math.inf] * (len(items) - len(best)))
            assert [expected[item] for item in real] == pytest.approx(best)


def draw_words(shop: Shop) -> tuple[sparse.csr_array, list[dict[int, float]]]:
    """Weights of words in the items, as rows of length 1 or 0 and as dictionaries."""
    rng = np.random.default_rng(shop.item_count)
    dense = rng.random((shop.item_count, 6)) * (rng.random((shop.item_count, 6)) < 0.4)
    norms = np.linalg.norm(dense, axis=1, keepdims=True)
    dense = np.divide(dense, norms, out=dense, where=norms > 0).astype(np.float32)
    return sparse.csr_array(dense), [{word: row[word] for word in np.flatnonzero(row)} for row in dense]


@pytest.mark.parametrize("remove_seen", [False, True])
@pytest.mark.parametrize("text_weight", [0.0, 1.0, 30.0])
def test_co_visit_text_weighs_every_score_by_the_likeness_to_the_last_item(
    text_weight: float, remove_seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "SCORES_AT_ONCE", 40)
    for shop in SHOPS:
        matrix, words = draw_words(shop)
        given: dict[str, Any] = {"training": shop.training, "item_count": shop.item_count, "remove_seen": remove_seen}
        ranking = CoVisitText(*Counting(3), None, text_weight, words=matrix, **given).rank(shop.batch, 6)
        for user in range(4):
            expected = slow_co_visit(shop, user, Counting(3), None, remove_seen)
            for item in expected:
                last = words[shop.past(user)[-1]]
                cosine = sum(weight * last.get(word, 0.0) for word, weight in words[item].items())
                expected[item] *= 1 + text_weight * cosine
            best = sorted(expected.values(), reverse=True)[:6]
            items, scores = ranking.items[user].tolist(), ranking.scores[user].tolist()
            assert scores == pytest.approx(best + [-math.inf] * (len(items) - len(best)), rel=1e-4)
            assert [expected[item] for item in items if item >= 0] == pytest.approx(best, rel=1e-4)


def test_few_users_at_once_batch_order_and_padding_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    for shop in SHOPS[:20]:
        rankers: list[Any] = [
            Popularity(training=shop.training, item_count=shop.item_count, remove_seen=True),
            CoVisit(*Counting(3), None, training=shop.training, item_count=shop.item_count, remove_seen=True),
        ]
        history, lengths = shop.batch
        flipped = UserRows(torch.nn.functional.pad(history, (0, 2)).flip(0), lengths.flip(0))
        for ranker in rankers:
            whole = ranker.rank(shop.batch, 3)
            assert torch.equal(ranker.rank(flipped, 3).items.flip(0), whole.items)
            with monkeypatch.context() as patch:
                patch.setattr(counts, "SCORES_AT_ONCE", 1)
                assert torch.equal(ranker.rank(shop.batch, 3).items, whole.items)


@pytest.mark.parametrize("remove_seen", [False, True])
def test_lists_leave_the_order_of_what_is_permitted(remove_seen: bool) -> None:
    rng = np.random.default_rng(0)
    for shop in SHOPS:
        count = shop.item_count
        always = {"allow": rng.integers(count, size=count), "deny": rng.integers(-1, count, size=count // 3)}
        calls: list[dict[str, np.ndarray]] = [
            {},
            {"allow": rng.integers(count, size=count + 1), "deny": rng.integers(-1, count, size=2)},
            {"allow": rng.integers(-1, count, size=(4, 3)), "deny": rng.integers(-1, count, size=(4, 1))},
            {"deny": rng.integers(-1, count, size=(4, 2))},
        ]
        given: dict[str, Any] = {"training": shop.training, "item_count": count}
        for maker in (Popularity, lambda **offers: CoVisit(*Counting(3), None, **offers)):
            every = maker(**given).rank(shop.batch, count)
            ranker = maker(**given, **always, remove_seen=remove_seen)
            for call in calls:
                found = ranker.rank(shop.batch, 3, **call)
                for user in range(4):
                    past = shop.past(user) if remove_seen else []
                    own = {name: (items if items.ndim == 1 else items[user]) for name, items in call.items()}
                    gone = {-1, *always["deny"].tolist(), *past, *own.get("deny", np.array([])).tolist()}
                    left = set(always["allow"].tolist()) & set(own.get("allow", always["allow"]).tolist()) - gone
                    scores = dict(zip(every.items[user].tolist(), every.scores[user].tolist(), strict=True))
                    best = sorted((scores[item] for item in left & scores.keys()), reverse=True)[:3]
                    items = [item for item in found.items[user].tolist() if item >= 0]
                    absent = [-math.inf] * (len(found.items[user]) - len(best))
                    assert set(items) <= left and [scores[item] for item in items] == best
                    assert found.scores[user].tolist() == best + absent
                    assert found.items[user, len(best) :].tolist() == [-1] * len(absent)


def test_a_wrong_list_is_refused() -> None:
    given: dict[str, Any] = {"training": (np.array([0]), np.array([0, 1])), "item_count": 1}
    message = r"^deny must hold items 0 \.\. 0, got 1$"
    with pytest.raises(ValueError, match=message):
        Popularity(**given, deny=[1])
    with pytest.raises(ValueError, match=message):
        CoVisit(*Counting(1), None, **given, deny=[1])


@pytest.mark.parametrize(
    ("dials", "recent", "message"),
    [
        (Counting(0), None, r"^search\.window must be >= 1, got 0$"),
        (Counting(1, decay=-1), None, r"^search\.decay must be a number >= 0, got -1$"),
        (Counting(1, backward=math.nan), None, r"^search\.backward must be a number >= 0, got nan$"),
        (Counting(1, rarity=math.inf), None, r"^search\.rarity must be a number >= 0, got inf$"),
        (Counting(1), 0, r"^search\.recent must be >= 1 or null, got 0$"),
    ],
)
def test_bad_dials_are_refused(dials: Counting, recent: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CoVisit(*dials, recent, training=(np.array([0]), np.array([0, 1])), item_count=1)


@pytest.mark.parametrize("text_weight", [-0.5, math.nan, math.inf])
def test_a_text_weight_must_be_a_number_from_0_on(text_weight: float) -> None:
    given: dict[str, Any] = {"training": (np.array([0]), np.array([0, 1])), "item_count": 1}
    with pytest.raises(ValueError, match=rf"^search\.text_weight must be a number >= 0, got {text_weight}$"):
        CoVisitText(*Counting(1), None, text_weight, words=sparse.csr_array(np.ones((1, 1))), **given)
