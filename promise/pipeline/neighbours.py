"""The nearest items of every item, by training histories or by texts, as the networks take them."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from promise.models.neighbours import NeighbourTable
from promise.search.rankers.counts import co_visits, rarities

#: Items whose similarities to all others are held at once.
ITEMS_AT_ONCE = 1024

#: As the defaults of the baselines that count neighbours (conf/search/co_visit_text.yaml).
WINDOW, DECAY, BACKWARD, RARITY = 10, 0.7, 0.35, 0.3
TEXT_WEIGHT = 30.0


def co_visit_table(
    training: tuple[NDArray[np.integer], NDArray[np.int64]],
    item_count: int,
    count: int,
    words: sparse.csr_matrix | None,
) -> NeighbourTable:
    """The `count` items of the highest similarity of every item.

    Similarity of an item to another: as in the baseline `CoVisit`, times 1 + `TEXT_WEIGHT` x the cosine of their words.

    Args:
        training: Training interactions: flat item indices (n,) and user offsets (users + 1,).
        item_count: Items of the catalogue, I.
        count: Neighbours of every item, k >= 1.
        words: TF-IDF of the items' words (I, V), rows of length 1 or 0; None = no item has any.

    Returns:
        A table of k neighbours; ties go to the lower item index.
    """
    visits = co_visits(*training, item_count, WINDOW, DECAY, BACKWARD).tocoo()
    left, right = visits.row.astype(np.int64), visits.col.astype(np.int64)
    weight = rarities(training[0], item_count, RARITY)
    factor = weight[left] * weight[right]
    if words is not None:
        rows = words.tocsr()
        factor = factor * (1.0 + TEXT_WEIGHT * np.asarray(rows[left].multiply(rows[right]).sum(1)).ravel())
    order = np.lexsort((right, -visits.data * factor, left))
    left, right = left[order], right[order]
    rank = np.arange(len(left)) - np.searchsorted(left, left)  # place among the neighbours of its item
    kept = rank < count
    place = left[kept], rank[kept]
    items = np.repeat(np.arange(item_count)[:, None], count, 1)
    counts = np.zeros((item_count, count), np.float32)
    factors = np.zeros((item_count, count), np.float32)
    items[place], counts[place], factors[place] = right[kept], visits.data[order][kept], factor[order][kept]
    near, count_of, factor_of = (torch.from_numpy(array) for array in (items, counts, factors))
    return NeighbourTable(near, count_of, factor_of, WINDOW, DECAY, BACKWARD)


def text_table(words: sparse.csr_matrix | None, item_count: int, count: int) -> NeighbourTable:
    """The `count` items of the most similar words of every item.

    Args:
        words: TF-IDF of the items' words (I, V), rows of length 1 or 0; None = no item has any.
        item_count: Items of the catalogue, I.
        count: Neighbours of every item, k >= 1.

    Returns:
        A table of k neighbours, their similarity the square of the cosine; 0 where there are fewer or no words.
    """
    items = np.repeat(np.arange(item_count)[:, None], count, 1)
    similar = np.zeros((item_count, count), np.float32)
    if words is not None:
        rows = words.tocsr().astype(np.float32)
        most = min(count, item_count - 1)
        for first in range(0, item_count, ITEMS_AT_ONCE):
            cosines = (rows[first : first + ITEMS_AT_ONCE] @ rows.T).toarray()
            own = np.arange(len(cosines))
            cosines[own, first + own] = -1.0
            best = np.argsort(-cosines, axis=1, kind="stable")[:, :most]
            found = np.take_along_axis(cosines, best, 1)
            part = slice(first, first + len(cosines))
            items[part, :most] = np.where(found > 0, best, first + own[:, None])
            similar[part, :most] = np.square(found.clip(0))
    counts = torch.from_numpy(similar)
    return NeighbourTable(torch.from_numpy(items), counts, torch.ones_like(counts), 0)
