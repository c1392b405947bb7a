"""What a reward model computes once per user and reads at every level of a search."""

from typing import NamedTuple

from torch import Tensor

from promise.models.layers import KeyValue
from promise.models.path_terms import PathVotes


class RewardCache(NamedTuple):
    """What the reward model computes once per user.

    Attributes:
        queries: `dot`: unit query vectors (B, L, dim), one per depth.
        memories: `cross_attention`: keys and values of the user states, one pair per block.
        mask: `cross_attention`: (B, 1, 1, H), True at real items; None = all are real.
        votes: What the histories add to the rewards of paths; None without such terms.
    """

    queries: Tensor | None
    memories: list[KeyValue]
    mask: Tensor | None
    votes: PathVotes | None

    def select_users(self, users: Tensor | slice) -> "RewardCache":
        """The context of some users of the batch: their rows (b,), in any order, or a slice of them."""
        return RewardCache(
            None if self.queries is None else self.queries[users],
            [(key[users], value[users]) for key, value in self.memories],
            None if self.mask is None else self.mask[users],
            None if self.votes is None else self.votes.select_users(users),
        )
