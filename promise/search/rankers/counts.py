"""Baselines that only count: popularity, co-visit neighbours, these with texts."""

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from promise.search.protocols import UserRows
from promise.search.rankers.all_items import AllItems


class Popularity(AllItems):
    """Ranks items by their number of training interactions, the same for every user.

    Args:
        training: Training interactions: flat item indices (n,) and user offsets (users + 1,).
        item_count: Items of the catalogue I.
        lists: What is never returned, as `AllItems` takes it.

    Raises:
        ValueError: If a list is wrong.
    """

    def __init__(self, *, training: tuple[np.ndarray, np.ndarray], item_count: int, **lists: Any) -> None:
        super().__init__(item_count=item_count, **lists)
        self.counts = torch.from_numpy(np.bincount(training[0], minlength=item_count)).float()

    def score(self, users: UserRows) -> Tensor:
        """Interactions of every item, for each user alike (B, I)."""
        return self.counts.expand(len(users.history), -1)


class CoVisit(AllItems):
    """Item-to-item nearest neighbours: items that stood near the user's recent items in other users' training.

    Similarity of an item to one of the user's: the sum over training sequences of 1 / distance^decay, up to `window`,
    where it stood after the other, and `backward` times as much where it stood before, over the product of their counts
    to the power of `rarity`. Score of an item: the sum over the user's items of similarity / recency (last = 1).

    Args:
        window: Largest distance of two items in a sequence that counts.
        decay: How fast a pair counts less with its distance, >= 0; 0 = all alike.
        backward: Weight of an item that stood before, >= 0; 1 = as of one that stood after.
        rarity: How much frequent items count less, >= 0; 0.5 = cosine.
        recent: Items of the history that vote, from the last one; null = all.
        training: Training interactions: flat item indices (n,) and user offsets (users + 1,).
        item_count: Items of the catalogue I.
        lists: What is never returned, as `AllItems` takes it.

    Raises:
        ValueError: If an option is out of range, or a list is wrong.
    """

    def __init__(
        self,
        window: int,
        decay: float,
        backward: float,
        rarity: float,
        recent: int | None,
        *,
        training: tuple[np.ndarray, np.ndarray],
        item_count: int,
        **lists: Any,
    ) -> None:
        super().__init__(item_count=item_count, **lists)
        self.recent = recent
        scale = sparse.diags_array(rarities(training[0], item_count, rarity))
        self.similarity = (scale @ co_visits(*training, item_count, window, decay, backward) @ scale).tocsr()

    def score(self, users: UserRows) -> Tensor:
        """Scores (B, I); only items with a score above 0 are returned."""
        history, lengths = users.history.cpu().numpy(), users.lengths.cpu().numpy()
        recency = lengths[:, None] - np.arange(history.shape[1])  # 1 at the last item, below 1 in the padding
        votes = (recency >= 1) & (recency <= (self.recent or history.shape[1]))
        shape = len(history), self.item_count
        query = sparse.csr_array((1.0 / recency[votes], (np.nonzero(votes)[0], history[votes])), shape=shape)
        scores = self.scores(query, history, lengths)
        return scores.masked_fill(scores <= 0, -torch.inf)

    def scores(self, query: sparse.csr_array, history: np.ndarray, lengths: np.ndarray) -> Tensor:
        """Scores (B, I) of votes (B, I) that come from histories (B, H) of the given lengths (B,)."""
        return torch.from_numpy((query @ self.similarity).toarray()).float()


class CoVisitText(CoVisit):
    """Co-visit score of an item, times (1 + text_weight x cosine of its words and those of the user's last item).

    An item that stood near none of the user's items is never returned, however much it reads like them.

    Args:
        text_weight: Factor of the cosine, >= 0; 0 = `CoVisit`.
        words: TF-IDF of the items' words (I, V), rows of length 1 (or 0, for an item without words).
        co_visit: Options and data of `CoVisit`.

    Raises:
        ValueError: If an option is out of range, or a list is wrong.
    """

    def __init__(self, text_weight: float, *, words: sparse.csr_array, **co_visit: Any) -> None:
        super().__init__(**co_visit)
        self.text_weight = text_weight
        self.words, self.by_word = words.tocsr(), words.T.tocsr()

    def scores(self, query: sparse.csr_array, history: np.ndarray, lengths: np.ndarray) -> Tensor:
        """As `CoVisit.scores`, times the likeness of texts."""
        visits = super().scores(query, history, lengths)
        last = history[np.arange(len(history)), np.maximum(lengths, 1) - 1]
        likeness = torch.from_numpy((self.words[last] @ self.by_word).toarray()).float()  # (B, I)
        return visits * (1 + self.text_weight * likeness)


def rarities(items: np.ndarray, item_count: int, power: float) -> np.ndarray:
    """One over every item's interactions to a power (I,); 1 for an item without any."""
    return np.maximum(np.bincount(items, minlength=item_count), 1) ** -float(power)


def co_visits(
    items: np.ndarray, offsets: np.ndarray, item_count: int, window: int, decay: float, backward: float
) -> sparse.csr_array:
    """Counts of items that stood near each other, (I, I): a row is an item, a column its neighbour; no diagonal.

    Args:
        items: Flat item indices (n,).
        offsets: Sequence offsets (sequences + 1,).
        item_count: Items of the catalogue, I.
        window: Largest distance that counts.
        decay: A pair at a distance d counts 1 / d^decay.
        backward: Factor of that where the neighbour stood before.
    """
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    total = sparse.csr_array((item_count, item_count), dtype=np.float64)
    for distance in range(1, window + 1):
        together = owner[distance:] == owner[:-distance]
        left, right = items[:-distance][together], items[distance:][together]
        weights = np.full(len(left), distance**-decay)
        total = total + sparse.csr_array((weights, (left, right)), shape=total.shape)
    total = total + backward * total.T
    total.setdiag(0.0)
    total.eliminate_zeros()
    return total.tocsr()
