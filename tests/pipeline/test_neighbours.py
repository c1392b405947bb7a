"""The nearest items of every item against loops over all pairs."""

import numpy as np
import pytest
from scipy import sparse

from promise.pipeline import neighbours
from promise.pipeline.neighbours import BACKWARD, DECAY, RARITY, TEXT_WEIGHT, WINDOW, co_visit_table, text_table

ITEMS = 12


def draw(seed: int) -> tuple[list[list[int]], tuple[np.ndarray, np.ndarray], sparse.csr_matrix]:
    """Sequences as lists and flat, without item 11; words of the items, of which item 0 has none."""
    random = np.random.default_rng(seed)
    sequences = [random.permutation(ITEMS - 1)[: random.integers(2, 9)].tolist() for _ in range(15)]
    flat = np.concatenate(sequences).astype(np.int32), np.cumsum([0, *map(len, sequences)])
    dense = random.random((ITEMS, 7)) * (random.random((ITEMS, 7)) < 0.4)
    dense[0] = 0
    norms = np.linalg.norm(dense, axis=1, keepdims=True)
    return sequences, flat, sparse.csr_matrix(np.divide(dense, norms, out=dense, where=norms > 0))


@pytest.mark.parametrize("count", [1, 4, 30])
@pytest.mark.parametrize("with_words", [True, False])
def test_co_visited_items_are_the_baselines_own(count, with_words):
    for seed in range(5):
        sequences, flat, words = draw(seed)
        table = co_visit_table(flat, ITEMS, count, words if with_words else None)
        assert (table.window, table.decay, table.backward) == (WINDOW, DECAY, BACKWARD)
        often = np.maximum(np.bincount(flat[0], minlength=ITEMS), 1)
        cosines = (words @ words.T).toarray() if with_words else np.zeros((ITEMS, ITEMS))
        for item in range(ITEMS):
            counts = np.zeros(ITEMS)
            for sequence in sequences:
                for i, one in enumerate(sequence):
                    for j, other in enumerate(sequence):
                        if one == item and 1 <= abs(i - j) <= WINDOW:
                            counts[other] += (1 if j > i else BACKWARD) / abs(i - j) ** DECAY
            factors = (often[item] * often) ** -RARITY * (1 + TEXT_WEIGHT * cosines[item])
            best = np.sort((counts * factors)[counts > 0])[::-1][:count]
            near = table.items[item].numpy()
            found = table.counts[item].numpy() * table.factors[item].numpy()
            assert found[: len(best)] == pytest.approx(best, rel=1e-5) and not found[len(best) :].any()
            real = near[: len(best)]
            assert table.counts[item, : len(best)].numpy() == pytest.approx(counts[real], rel=1e-5)
            assert (near[len(best) :] == item).all() and len(set(real.tolist())) == len(real)


@pytest.mark.parametrize("count", [1, 4, 30])
def test_items_of_similar_texts(count, monkeypatch):
    monkeypatch.setattr(neighbours, "ITEMS_AT_ONCE", 5)
    _, _, words = draw(1)
    table = text_table(words, ITEMS, count)
    assert table.items.shape == table.counts.shape == (ITEMS, count) and table.window == 0
    cosines = (words @ words.T).toarray()
    for item in range(ITEMS):
        others = np.delete(cosines[item], item)
        best = np.sort(others[others > 0])[::-1][:count]
        found = table.counts[item].numpy()
        assert found[: len(best)] == pytest.approx(best**2, rel=1e-4) and not found[len(best) :].any()
        near = table.items[item].numpy()
        assert cosines[item][near[: len(best)]] == pytest.approx(best, rel=1e-4) and (near[len(best) :] == item).all()


def test_without_texts_nothing_is_similar():
    table = text_table(None, ITEMS, 3)
    assert not table.counts.any() and (table.items.numpy() == np.arange(ITEMS)[:, None]).all()
