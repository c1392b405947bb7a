"""KnownHistories: drops unknown items from histories and sends users who have no other to a fallback."""

from collections.abc import Sequence

import torch
from torch import Tensor

from promise.search.filters.item_lists import real_items
from promise.search.protocols import Batch, Items, Ranker, Ranking, UserRows


class KnownHistories:
    """A ranker that lets another one see only the items it knows.

    Args:
        inner: Ranks the users who have a known item.
        item_count: Items of the catalogue; numbers outside 0 .. item_count - 1 are dropped, the order stays.
        fallback: Ranks the users who have none, such as `promise.search.rankers.counts.Popularity`; None = they are an
            error.

    Attributes:
        dropped: Entries of histories that were dropped so far.
        dropped_last: Those of the last call.
    """

    def __init__(self, inner: Ranker, item_count: int, fallback: Ranker | None = None) -> None:
        self.inner = inner
        self.item_count = item_count
        self.fallback = fallback
        self.dropped = self.dropped_last = 0

    def rank(self, batch: Batch, k: int, allow: Items | None = None, deny: Items | None = None) -> Ranking:
        """The k best items of every user, from the one ranker or the other; their costs add up.

        Raises:
            ValueError: If a user has no known item and there is no fallback.
        """
        history, real = batch.history, real_items(batch)
        known = real & (history >= 0) & (history < self.item_count)
        self.dropped_last = int((real & ~known).sum())
        self.dropped += self.dropped_last
        first = (~known).byte().argsort(dim=1, stable=True)  # the known items, in their order
        users = UserRows(history.masked_fill(~known, 0).gather(1, first), known.sum(1))
        lost = users.lengths == 0
        if not lost.any():
            return self.inner.rank(users, k, allow=allow, deny=deny)
        if self.fallback is None:
            row = int(lost.nonzero()[0])
            raise ValueError(f"row {row} of the batch has no item of the catalogue in its history, and no fallback")
        parts = []
        for ranker, rows in ((self.inner, (~lost).nonzero()[:, 0]), (self.fallback, lost.nonzero()[:, 0])):
            if len(rows):
                some = UserRows(users.history[rows], users.lengths[rows])
                parts.append((rows, ranker.rank(some, k, allow=of_rows(allow, rows), deny=of_rows(deny, rows))))
        return joined(parts, len(history))


def of_rows(items: Items | None, rows: Tensor) -> Items | None:
    """Of a list for each user those of some rows; a list for all users as it is."""
    if items is None:
        return None
    lists = torch.as_tensor(items)
    return lists[rows.to(lists.device)] if lists.dim() == 2 else lists


def joined(parts: Sequence[tuple[Tensor, Ranking]], users: int) -> Ranking:
    """One ranking of all users from rankings of some rows each; the nodes kept are those of the one that has them."""
    width = max(ranking.items.shape[1] for _, ranking in parts)
    like = parts[0][1]
    items = like.items.new_full((users, width), -1)
    scores = like.scores.new_full((users, width), -torch.inf)
    kept: list[Tensor] = []
    for rows, ranking in parts:
        items[rows, : ranking.items.shape[1]] = ranking.items
        scores[rows, : ranking.scores.shape[1]] = ranking.scores
        for nodes in ranking.kept:
            kept.append(nodes.new_full((users, nodes.shape[1]), -1).index_copy_(0, rows, nodes))
    cost = sum((ranking.cost for _, ranking in parts[1:]), like.cost)
    return Ranking(items, scores, cost, kept)
