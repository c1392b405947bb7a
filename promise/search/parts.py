"""A batch searched in parts that fit memory, and put together again."""

import time
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch

from promise.ids.trie import Trie
from promise.search.cost import Cost
from promise.search.filters.item_lists import ItemLists
from promise.search.filters.restriction import Restrictions
from promise.search.options import check_options, entries
from promise.search.protocols import (
    Batch,
    Items,
    NextCodes,
    PathRewards,
    Ranker,
    Ranking,
    UserRows,
    require_members,
    split,
)

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


class PartRanker(Ranker):
    """A ranker of users who fit memory, part by part.

    Attributes:
        restrictions: What may be returned in every call.
        users_at_once: Users of a part, >= 1.
    """

    restrictions: Restrictions | ItemLists
    users_at_once: Any

    @abstractmethod
    def search(self, k: int, users: UserRows, restriction: Any, first: int) -> Ranking:
        """The ranking of some users, given what may be returned; its cost is without seconds.

        Args:
            k: Items wanted.
            users: The users.
            restriction: Their part of what `restrictions` says.
            first: Row of the batch at which they begin, for errors.
        """

    @torch.inference_mode()
    def rank(self, batch: Batch, k: int) -> Ranking:
        """The ranking of a whole batch, timed: see `Ranker.rank`."""
        began = time.perf_counter()
        restriction = self.restrictions.of(batch)
        parts = split(batch, self.users_at_once)
        found = [self.search(k, users, restriction.rows(part), part.start) for part, users in parts]
        items, scores = (torch.cat(tensors) for tensors in zip(*(part[:2] for part in found), strict=True))
        candidates, certified = (
            None if tensors[0] is None else torch.cat(tensors)
            for tensors in zip(*(part[4:] for part in found), strict=True)
        )
        kept = [torch.cat(nodes) for nodes in zip(*(part.kept for part in found), strict=True)]
        if items.is_cuda:
            torch.cuda.synchronize()
        cost = sum((part.cost for part in found), Cost(seconds=time.perf_counter() - began))
        return Ranking(items, scores, cost, kept, candidates, certified)


@dataclass(eq=False)
class TreeRanker(PartRanker):
    """A ranker of paths by `(1 - weight) log p + weight r`; each has a `weight` and options of its own.

    Args:
        generator: Proposes next codes.
        reward: Judges paths; may be None when every weight is 0.
        trie: The catalogue's trie.
        remove_seen, allow, deny: What is never returned, as `ItemLists` takes it.

    Attributes:
        asked: The reward model where a weight asks it.

    Raises:
        ValueError: If an option is out of range, a weight needs a reward model that is not there, a network lacks what
            its protocol asks for, or a list is wrong.
    """

    _: KW_ONLY
    generator: NextCodes
    reward: PathRewards | None
    trie: Trie
    remove_seen: bool = False
    allow: Items | None = None
    deny: Items | None = None

    def __post_init__(self) -> None:
        check_options(vars(self))
        require_members(f"the generator {type(self.generator).__name__}", self.generator, NextCodes)
        if self.reward is not None:
            require_members(f"the reward model {type(self.reward).__name__}", self.reward, PathRewards)
        own: Any = self
        weight = own.weight
        if any(entries(weight)) and self.reward is None:
            what = f"search.weight={weight}" if "weight" in vars(self) else type(self).__name__
            raise ValueError(f"{what} needs a reward model, got a generator alone")
        self.asked = self.reward if any(entries(weight)) else None
        self.restrictions = Restrictions(self.trie, remove_seen=self.remove_seen, allow=self.allow, deny=self.deny)
