"""A batch searched in parts that fit memory, and put together again."""

import time
from collections.abc import Callable

import torch

from promise.search.cost import Cost
from promise.search.protocols import Items, Ranking, SomeUsers, Users
from promise.search.restriction import Restriction, Restrictions


def rank_in_parts(
    search: Callable[[SomeUsers, Restriction | None, int], Ranking],
    batch: Users,
    size: int,
    restrictions: Restrictions,
    allow: Items | None,
    deny: Items | None,
) -> Ranking:
    """The ranking of a whole batch, timed.

    Args:
        search: Ranks some users, given what they may be given and the row of the batch at which they begin; its cost
            is without seconds.
        batch: The users.
        size: Users of a part.
        restrictions: What may be returned in every call.
        allow: In this call, as `Ranker.rank`.
        deny: In this call, as `Ranker.rank`.
    """
    began = time.perf_counter()
    restriction = restrictions.of(batch, allow, deny)
    found = [
        search(users, restriction.rows(part) if restriction else None, part.start)
        for part, users in SomeUsers.parts(batch, size)
    ]
    items, scores = (torch.cat(tensors) for tensors in zip(*(part[:2] for part in found), strict=True))
    kept = [torch.cat(nodes) for nodes in zip(*(part.kept for part in found), strict=True)]
    if items.is_cuda:
        torch.cuda.synchronize()
    cost = sum((part.cost for part in found), Cost(seconds=time.perf_counter() - began))
    return Ranking(items, scores, cost, kept)
