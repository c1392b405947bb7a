"""A batch searched in parts that fit memory, and put together again."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch

from promise.search.cost import Cost
from promise.search.filters.item_lists import ItemLists
from promise.search.filters.restriction import Restrictions
from promise.search.protocols import Batch, Items, NextCodes, Ranking, UserRows, split

#: Working memory of one child of a beam (log-probabilities, codes, nodes, masks and their copies), in bytes.
CHILD_BYTES = 64


def users_at_once(
    max_bytes: int, generator: NextCodes, steps: Iterable[tuple[int, int, int]], path_bytes: int, child_bytes: int
) -> int:
    """Users whose search takes at most so many bytes, by the sizes of its largest tensors; at least 1.

    Args:
        max_bytes: Working memory beyond networks and tables.
        generator: Tells its own.
        steps: Of each level the paths that are decoded, the most children of one, and the paths that are drafted.
        path_bytes: Of the reward, for one path.
        child_bytes: Of the search, for one child or draft.
    """
    most = generator.history * generator.row_bytes
    for rows, children, drafts in steps:
        decoding = rows * (generator.row_bytes + children * child_bytes)
        most = max(most, decoding + drafts * (child_bytes + path_bytes))
    return max(1, max_bytes // most)


def rank_in_parts(
    search: Callable[[UserRows, Any, int], Ranking],
    batch: Batch,
    size: int,
    restrictions: Restrictions | ItemLists,
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
    found = [search(users, restriction.rows(part), part.start) for part, users in split(batch, size)]
    items, scores = (torch.cat(tensors) for tensors in zip(*(part[:2] for part in found), strict=True))
    kept = [torch.cat(nodes) for nodes in zip(*(part.kept for part in found), strict=True)]
    if items.is_cuda:
        torch.cuda.synchronize()
    cost = sum((part.cost for part in found), Cost(seconds=time.perf_counter() - began))
    return Ranking(items, scores, cost, kept)
