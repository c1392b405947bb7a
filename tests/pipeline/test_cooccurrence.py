"""Tables of counts against loops over all pairs, with and without a user; what names them in the store."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from promise.models.cooccurrence.neighbours import Neighbours
from promise.pipeline import cooccurrence
from promise.pipeline.cooccurrence import co_visit_table, displaced, fingerprint_of_tables, text_table
from promise.search import nearest
from promise.search.rankers.cooccurrence import Cooccurrence
from promise.search.rankers.counts import CoVisit

ITEMS, WINDOW, DECAY, BACKWARD, RARITY, TEXT_WEIGHT = 12, 3, 0.7, 0.35, 0.3, 30.0
OPTIONS = {"window": WINDOW, "decay": DECAY, "backward": BACKWARD, "rarity": RARITY, "text_weight": TEXT_WEIGHT}


def draw(seed: int, repeats: bool = False) -> tuple[list[list[int]], tuple[np.ndarray, np.ndarray], sparse.csr_matrix]:
    """Sequences as lists and flat, without item 11; words of the items, of which item 0 has none."""
    random = np.random.default_rng(seed)
    sequences = [random.permutation(ITEMS - 1)[: random.integers(2, 9)].tolist() for _ in range(15)]
    if repeats:
        sequences = [random.integers(0, ITEMS - 1, len(each)).tolist() for each in sequences]
    flat = np.concatenate(sequences).astype(np.int32), np.cumsum([0, *map(len, sequences)])
    dense = random.random((ITEMS, 7)) * (random.random((ITEMS, 7)) < 0.4)
    dense[0] = 0
    norms = np.linalg.norm(dense, axis=1, keepdims=True)
    return sequences, flat, sparse.csr_matrix(np.divide(dense, norms, out=dense, where=norms > 0))


def by_hand(sequences: list[list[int]], everybody: list[list[int]], words: sparse.csr_matrix | None) -> np.ndarray:
    """(I, I) similarities: counts of some sequences, factors of all of them."""
    counts = np.zeros((ITEMS, ITEMS))
    for sequence in sequences:
        for i, one in enumerate(sequence):
            for j, other in enumerate(sequence):
                if one != other and 1 <= abs(i - j) <= WINDOW:
                    counts[one, other] += (1 if j > i else BACKWARD) / abs(i - j) ** DECAY
    often = np.maximum(np.bincount(np.concatenate(everybody), minlength=ITEMS), 1)
    cosines = 0 if words is None else (words @ words.T).toarray()
    return counts * np.outer(often, often) ** -RARITY * (1 + TEXT_WEIGHT * cosines)


@pytest.mark.parametrize("count", [1, 4, 30])
@pytest.mark.parametrize("with_words", [True, False])
def test_co_visited_items_by_hand(count, with_words):
    for seed in range(3):
        sequences, flat, words = draw(seed)
        words = words if with_words else None
        table = co_visit_table(flat, ITEMS, count, words, **OPTIONS)
        every = by_hand(sequences, sequences, words)
        found = (table["counts"] * table["factors"]).numpy()
        for item in range(ITEMS):
            best = np.sort(every[item][every[item] > 0])[::-1][: found.shape[1]]
            real = table["items"][item, : len(best)].numpy()
            assert found[item, : len(best)] == pytest.approx(best, rel=1e-5) and not found[item, len(best) :].any()
            assert every[item][real] == pytest.approx(best, rel=1e-5) and len(set(real.tolist())) == len(real)
            assert (table["items"][item, len(best) :] == item).all()


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("repeats", [False, True])
def test_the_nearest_of_a_count_without_the_user(count, repeats):
    """For every user and item: the similarities of the others' sequences alone, counted anew and cut then."""
    differs = 0
    for seed in range(3):
        sequences, flat, words = draw(seed, repeats)
        table = co_visit_table(flat, ITEMS, count, words, **OPTIONS)
        nearest = Neighbours(count, WINDOW, DECAY, BACKWARD, **table)
        for user, sequence in enumerate(sequences):
            near, similarities = nearest(torch.tensor([sequence]), torch.tensor([sequence]))
            others = by_hand(sequences[:user] + sequences[user + 1 :], sequences, words)
            everybody = by_hand(sequences, sequences, words)
            for place, item in enumerate(sequence):
                best = np.sort(others[item])[::-1][:count]
                assert similarities[0, place].numpy() == pytest.approx(best, abs=2e-4)
                assert others[item][near[0, place]] == pytest.approx(best, abs=2e-4)
                first = np.argsort(-everybody[item], kind="stable")[:count]  # as a cut before would have it
                differs += others[item][first].sum() < best.sum() - 1e-3
    assert differs


def test_what_one_user_displaces_is_not_the_sum_of_two():
    wide, repeating = np.arange(300), np.full(200, 7)
    for users, most in (((wide,), 4), ((repeating,), 0), ((wide, repeating), 4), ((np.tile(wide, 3),), 12)):
        flat = np.concatenate(users), np.cumsum([0, *map(len, users)])
        assert displaced(*flat, window=2) == most


@pytest.mark.parametrize("count", [1, 4, 30])
@pytest.mark.parametrize("exact", [ITEMS, 0])
def test_items_of_similar_texts(count, exact, monkeypatch, caplog):
    """Above the size for all pairs too, where no word is common."""
    monkeypatch.setattr(nearest, "ENTRIES_AT_ONCE", 50)
    monkeypatch.setattr(cooccurrence, "EXACT_ITEMS", exact)
    caplog.set_level("INFO")
    _, _, words = draw(1)
    table = text_table(words, ITEMS, count)
    assert table["items"].shape == table["counts"].shape == (ITEMS, count)
    cosines = (words @ words.T).toarray()
    for item in range(ITEMS):
        best = np.sort(np.delete(cosines[item], item))[::-1][:count]
        best = best[best > 0]
        found, near = table["counts"][item].numpy(), table["items"][item].numpy()
        assert found[: len(best)] == pytest.approx(best**2, rel=1e-4) and not found[len(best) :].any()
        assert cosines[item][near[: len(best)]] == pytest.approx(best, rel=1e-4) and (near[len(best) :] == item).all()
    assert ("more than 0 items, found by words of 500 at most" in caplog.text) == (not exact)
    none = text_table(None, ITEMS, 3)
    assert not none["counts"].any() and (none["items"].numpy() == np.arange(ITEMS)[:, None]).all()


def test_neighbours_above_the_size_for_all_pairs_share_a_word_that_few_have(monkeypatch):
    monkeypatch.setattr(cooccurrence, "EXACT_ITEMS", 2)
    monkeypatch.setattr(cooccurrence, "COMMON", 2)
    words = sparse.csr_matrix(np.array([[0.6, 0.8, 0.0], [0.6, 0.8, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    table = text_table(words, 4, 2)  # the first word is of three items
    assert table["items"].tolist() == [[1, 0], [0, 1], [2, 2], [3, 3]]
    np.testing.assert_allclose(table["counts"], [[1, 0], [1, 0], [0, 0], [0, 0]], atol=1e-6)


def test_largest_entries_are_those_of_a_sort():
    rng = np.random.default_rng(0)
    for count in (1, 3, 50):
        lengths = rng.integers(0, 30, 20)
        columns = np.concatenate([rng.permutation(40)[:length] for length in lengths])
        values = rng.integers(-2, 6, len(columns)).astype(float)
        rows, oracle = np.repeat(np.arange(20), lengths), []
        for row in range(20):
            there = sorted((-values[at], columns[at], at) for at in np.flatnonzero(rows == row) if values[at] > 0)
            oracle += [(at, row, rank) for rank, (_, _, at) in enumerate(there[:count])]
        assert (
            list(zip(*(found.tolist() for found in nearest.largest(lengths, columns, values, count)), strict=True))
            == oracle
        )
    assert [(part.start, part.stop) for part in nearest.row_blocks(np.full(5, 2**23), "toy")] == [
        (0, 1),
        (1, 3),
        (3, 5),
    ]


def test_every_number_of_the_tables_and_every_option_names_them():
    _, flat, words = draw(0)
    tables = co_visit_table(flat, ITEMS, 3, words, **OPTIONS)
    names = {fingerprint_of_tables(OPTIONS, tables), fingerprint_of_tables({**OPTIONS, "window": 4}, tables)}
    for name, values in tables.items():
        changed = values.clone()
        changed[5, 1] += 1
        names.add(fingerprint_of_tables(OPTIONS, tables | {name: changed}))
    assert len(names) == 5


def test_the_ranker_sums_the_tables_similarities_by_age():
    sequences, flat, words = draw(0)
    counting = {"window": WINDOW, "decay": DECAY, "backward": BACKWARD, "rarity": RARITY, "recent": None}
    given: dict[str, Any] = {"training": flat, "item_count": ITEMS, **counting}
    history, lengths = torch.tensor([[1, 2, 3], [7, 4, 0]]), torch.tensor([3, 2])
    batch = SimpleNamespace(history=history, lengths=lengths)
    every = by_hand(sequences, sequences, words)
    for count in (2, 30):
        ranking = Cooccurrence(count, TEXT_WEIGHT, **given, item_words=words).rank(batch, ITEMS)
        for row, length in enumerate(lengths.tolist()):
            scores = np.zeros(ITEMS)
            for age, item in enumerate(history[row, :length].tolist()[::-1], start=1):
                near = np.argsort(-every[item], kind="stable")[:count]
                scores[near] += every[item][near] / age
            real = ranking.items[row] >= 0
            assert ranking.scores[row][real].numpy() == pytest.approx(np.sort(scores)[::-1][: real.sum()], rel=1e-5)
    plain = [ranker.rank(batch, ITEMS) for ranker in (Cooccurrence(ITEMS, 0, **given), CoVisit(**given))]
    assert torch.equal(plain[0].items, plain[1].items)
