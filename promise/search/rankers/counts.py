"""Baselines that only count: popularity, co-visit neighbours, these with texts. Sums of counts are no FLOPs here."""

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from promise.search.cost import Cost
from promise.search.filters.item_lists import ItemLists, Permitted
from promise.search.parts import rank_in_parts
from promise.search.protocols import Batch, Items, Ranking, UserRows
from promise.search.scoring import best_items

#: Scores (users x items) held at once: 64 Mi numbers.
SCORES_AT_ONCE = 1 << 26


class ItemCounts(ABC):
    """A ranker of all items by scores that are sums of counts.

    Args:
        item_count: Items of the catalogue I.
        remove_seen, allow, deny: What is never returned, as `ItemLists` takes it.

    Raises:
        ValueError: If a list is wrong.
    """

    def __init__(self, item_count: int, remove_seen: bool, allow: Items | None, deny: Items | None) -> None:
        self.item_count = item_count
        self.lists = ItemLists(item_count, remove_seen=remove_seen, allow=allow, deny=deny)

    @abstractmethod
    def score(self, users: UserRows) -> Tensor:
        """Scores (B, I) of every item, on the CPU; -inf where an item is not to be returned."""

    def rank(self, batch: Batch, k: int, allow: Items | None = None, deny: Items | None = None) -> Ranking:
        """The k permitted items of the highest score.

        Raises:
            ValueError: If a list is wrong.
        """
        size = max(1, SCORES_AT_ONCE // self.item_count)
        return rank_in_parts(partial(self.search, k), batch, size, self.lists, allow, deny)

    def search(self, k: int, users: UserRows, permitted: Permitted, first: int) -> Ranking:
        """Scores and ranks, for users who fit memory; the cost is without seconds."""
        scores, items = best_items(permitted.narrow(self.score(users)), k)
        device = users.history.device
        return Ranking(items.to(device), scores.to(device), Cost(users=len(users.history)), [])


class Popularity(ItemCounts):
    """Ranks items by their number of training interactions, the same for every user.

    Args:
        training: Training interactions: flat item indices (n,) and user offsets (users + 1,).
        item_count, remove_seen, allow, deny: As `ItemCounts`.

    Raises:
        ValueError: If a list is wrong.
    """

    def __init__(
        self,
        *,
        training: tuple[np.ndarray, np.ndarray],
        item_count: int,
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
    ) -> None:
        super().__init__(item_count, remove_seen, allow, deny)
        self.counts = torch.from_numpy(np.bincount(training[0], minlength=item_count)).float()

    def score(self, users: UserRows) -> Tensor:
        """Interactions of every item, for each user alike (B, I)."""
        return self.counts.expand(len(users.history), -1)


class CoVisit(ItemCounts):
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
        item_count, remove_seen, allow, deny: As `ItemCounts`.

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
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
    ) -> None:
        if window < 1:
            raise ValueError(f"search.window must be >= 1, got {window}")
        for name, value in (("decay", decay), ("backward", backward), ("rarity", rarity)):
            if not 0 <= value < math.inf:
                raise ValueError(f"search.{name} must be a number >= 0, got {value}")
        if recent is not None and recent < 1:
            raise ValueError(f"search.recent must be >= 1 or null, got {recent}")
        super().__init__(item_count, remove_seen, allow, deny)
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
        window, decay, backward, rarity, recent: As `CoVisit`.
        text_weight: Factor of the cosine, >= 0; 0 = `CoVisit`.
        words: TF-IDF of the items' words (I, V), rows of length 1 (or 0, for an item without words).
        training, item_count, remove_seen, allow, deny: As `CoVisit`.

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
        text_weight: float,
        *,
        words: sparse.csr_array,
        training: tuple[np.ndarray, np.ndarray],
        item_count: int,
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
    ) -> None:
        if not 0 <= text_weight < math.inf:
            raise ValueError(f"search.text_weight must be a number >= 0, got {text_weight}")
        offers: dict[str, Any] = {"remove_seen": remove_seen, "allow": allow, "deny": deny}
        super().__init__(window, decay, backward, rarity, recent, training=training, item_count=item_count, **offers)
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
