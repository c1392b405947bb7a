"""Baselines that only count: popularity, and co-visit nearest neighbours. Sums of counts are no FLOPs here."""

import time

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from promise.search.cost import Cost
from promise.search.protocols import Ranking, Users
from promise.search.seen import bans, real_items

#: Scores (users x items) held at once: 64 Mi numbers.
SCORES_AT_ONCE = 1 << 26


class Popularity:
    """Ranks items by their number of training interactions, the same for every user.

    Args:
        training: Training interactions: flat item indices (n,) and user offsets (users + 1,).
        item_count: Items of the catalogue.
        remove_seen: Never return an item of the user's history.
    """

    def __init__(self, *, training: tuple[np.ndarray, np.ndarray], item_count: int, remove_seen: bool = False) -> None:
        counts = np.bincount(training[0], minlength=item_count)
        order = np.argsort(-counts, kind="stable")
        self.order = torch.from_numpy(order)
        self.counts = torch.from_numpy(counts[order].astype(np.float32))
        self.remove_seen = remove_seen

    def rank(self, batch: Users, k: int) -> Ranking:
        """The k most popular items, less the user's own when they are removed."""
        began = time.perf_counter()
        users = len(batch.history)
        extra = batch.history.shape[1] if self.remove_seen else 0
        items = self.order[: k + extra].to(batch.history.device).expand(users, -1)
        scores = self.counts[: k + extra].to(batch.history.device).expand(users, -1)
        if self.remove_seen:
            seen = seen_among(items, batch)
            place = seen.long().argsort(dim=1, stable=True)  # the unseen first, in their order
            items = items.masked_fill(seen, -1).gather(1, place)
            scores = scores.masked_fill(seen, -torch.inf).gather(1, place)
        return Ranking(items[:, :k], scores[:, :k], Cost(users=users, seconds=time.perf_counter() - began), [])


class CoVisit:
    """Item-to-item nearest neighbours: items that stood near the user's recent items in other users' training.

    Similarity of two items: the sum over training sequences of 1 / distance, up to `window`, over the square root of
    the product of their counts. Score of an item: the sum over the user's items of similarity / recency (last = 1).

    Args:
        window: Largest distance of two items in a sequence that counts.
        recent: Items of the history that vote, from the last one; null = all.
        training: Training interactions: flat item indices (n,) and user offsets (users + 1,).
        item_count: Items of the catalogue.
        remove_seen: Never return an item of the user's history.

    Raises:
        ValueError: If window or recent is below 1.
    """

    def __init__(
        self,
        window: int,
        recent: int | None,
        *,
        training: tuple[np.ndarray, np.ndarray],
        item_count: int,
        remove_seen: bool = False,
    ) -> None:
        if window < 1:
            raise ValueError(f"search.window must be >= 1, got {window}")
        if recent is not None and recent < 1:
            raise ValueError(f"search.recent must be >= 1 or null, got {recent}")
        self.recent = recent
        self.item_count = item_count
        self.remove_seen = remove_seen
        self.similarity = similarities(*training, item_count, window)

    def rank(self, batch: Users, k: int) -> Ranking:
        """The k items of the highest score; only items with a score above 0."""
        began = time.perf_counter()
        history, lengths = batch.history.cpu().numpy(), batch.lengths.cpu().numpy()
        users, width = history.shape
        recency = lengths[:, None] - np.arange(width)  # 1 at the last item, below 1 in the padding
        votes = (recency >= 1) & (recency <= (self.recent or width))
        rows = np.nonzero(votes)[0]
        query = sparse.csr_array((1.0 / recency[votes], (rows, history[votes])), shape=(users, self.item_count))
        chunk = max(1, SCORES_AT_ONCE // self.item_count)
        parts = []
        for first in range(0, users, chunk):
            dense = torch.from_numpy((query[first : first + chunk] @ self.similarity).toarray()).float()
            if self.remove_seen:
                part = slice(first, first + chunk)
                dense.scatter_add_(1, batch.history[part].cpu(), bans(batch)[part].cpu())
            parts.append(self.best(dense, k))
        scores, items = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
        device = batch.history.device
        cost = Cost(users=users, seconds=time.perf_counter() - began)
        return Ranking(items.to(device), scores.to(device), cost, [])

    def best(self, scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Top k of dense scores (B, I), as scores and items (B, k)."""
        top, items = scores.topk(min(k, self.item_count))
        absent = top <= 0
        return top.masked_fill(absent, -torch.inf), items.masked_fill(absent, -1)


def seen_among(items: Tensor, batch: Users) -> Tensor:
    """Which of the items (B, k) stand in the user's history: (B, k)."""
    return ((items.unsqueeze(2) == batch.history.unsqueeze(1)) & real_items(batch).unsqueeze(1)).any(2)


def similarities(items: np.ndarray, offsets: np.ndarray, item_count: int, window: int) -> sparse.csr_array:
    """Symmetric co-visit similarities (I, I), without the diagonal."""
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    total = sparse.csr_array((item_count, item_count), dtype=np.float64)
    for distance in range(1, window + 1):
        together = owner[distance:] == owner[:-distance]
        left, right = items[:-distance][together], items[distance:][together]
        weights = np.full(len(left), 1.0 / distance)
        total = total + sparse.csr_array((weights, (left, right)), shape=total.shape)
    total = total + total.T
    total.setdiag(0.0)
    total.eliminate_zeros()
    root = np.sqrt(np.maximum(np.bincount(items, minlength=item_count), 1))
    scale = sparse.diags_array(1.0 / root)
    return (scale @ total @ scale).tocsr()
