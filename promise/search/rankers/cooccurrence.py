"""Cooccurrence: the table of co-visited items that networks may be wrapped in, as a ranker without learned weights."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from promise.search.nearest import cosines, largest, row_blocks
from promise.search.rankers.counts import CoVisit, co_visits, rarities


class Pairs(NamedTuple):
    """Co-visited items, sorted by item, then by similarity (count x factor) from the highest, then by neighbour.

    Attributes:
        items: (n,) items.
        neighbours: (n,) what stood near each.
        ranks: (n,) place of the neighbour among those of its item, from 0.
        counts: (n,) weighted counts of training sequences: see `co_visits`.
        factors: (n,) what turns a count into a similarity.
    """

    items: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    ranks: NDArray[np.int64]
    counts: NDArray[np.float64]
    factors: NDArray[np.float64]


def co_visited(
    training: tuple[NDArray[np.integer], NDArray[np.int64]],
    item_count: int,
    count: int,
    *,
    window: int,
    decay: float,
    backward: float,
    rarity: float,
    text_weight: float,
    words: sparse.csr_matrix | None,
) -> Pairs:
    """The `count` most similar of the items that stood near each item.

    Similarity as in `CoVisit`, times 1 + text_weight x the cosine of both items' words. The factors are those of all
    data, whoever is left out of the counts.

    Args:
        training: Training interactions: flat item indices (n,) and user offsets (users + 1,).
        item_count: Items of the catalogue, I.
        count: Neighbours of an item, at most.
        window: Largest distance that counts.
        decay: A pair at distance d counts 1 / d^decay.
        backward: Factor of that where the neighbour stood before.
        rarity: A similarity is the count over the product of both items' interactions to this power.
        text_weight: Factor of the cosine.
        words: TF-IDF of the items' words (I, V), rows of length 1 or 0; None = no item has any.
    """
    visits = co_visits(*training, item_count, window, decay, backward)
    weight, lengths, parts = rarities(training[0], item_count, rarity), np.diff(visits.indptr), []
    for rows in row_blocks(lengths, "co-visited items"):
        entries = slice(*visits.indptr[[rows.start, rows.stop]])
        left, right = np.repeat(np.arange(rows.start, rows.stop), lengths[rows]), visits.indices[entries]
        factors = weight[left] * weight[right]
        if words is not None and text_weight:
            factors *= 1.0 + text_weight * cosines(words, left, right)
        counts = visits.data[entries]
        chosen, _, ranks = largest(lengths[rows], right, counts * factors, count)
        parts.append((left[chosen], right[chosen], ranks, counts[chosen], factors[chosen]))
    return Pairs(*map(np.concatenate, zip(*parts, strict=True)))


class Cooccurrence(CoVisit):
    """Ranks by the sum over the user's items of similarity / recency (last = 1), similarities from a table of counts.

    It is the table that `cooccurrence=counts` gives to the networks, and `CoVisit` but for two things: an item of the
    history speaks of its `neighbours` nearest items alone, and similarities are multiplied by 1 + text_weight x the
    cosine of both items' words. With as many neighbours as items and text_weight 0 it equals `CoVisit`.

    Args:
        neighbours: Nearest items that each item of the history speaks of, >= 1.
        text_weight: Factor of the cosine of both items' words, >= 0.
        item_words: TF-IDF of the items' words (I, V), rows of length 1 or 0; None = no item has any.
        co_visit: Options and data of `CoVisit`.

    Raises:
        ValueError: If an option is out of range, or a list is wrong.
    """

    def __init__(
        self, neighbours: int, text_weight: float, *, item_words: sparse.csr_matrix | None = None, **co_visit: Any
    ) -> None:
        super().__init__(**co_visit)
        counting = {name: co_visit[name] for name in ("training", "window", "decay", "backward", "rarity")}
        shape = self.item_count, self.item_count
        pairs = co_visited(**counting, item_count=shape[0], count=neighbours, text_weight=text_weight, words=item_words)
        self.similarity = sparse.csr_array((pairs.counts * pairs.factors, (pairs.items, pairs.neighbours)), shape=shape)
