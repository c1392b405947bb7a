"""Negatives: the wrong prefixes that the reward learns against, drawn anew for every batch."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from promise.ids.trie import Trie
from promise.models.reward import Drawn, RewardModel

#: Ways to choose negatives.
KINDS = ("sampled", "hard", "popularity", "full_softmax", "full_softmax_last")

#: Items up to which learning against all of them is the default.
FULL_SOFTMAX_ITEMS = 50_000

#: Hard negatives of a target when the configuration names no number.
HARD_NEGATIVES = 32


class Near(NamedTuple):
    """Likely siblings of the positives of a depth, by the generator.

    Attributes:
        trie: The catalogue's trie.
        parents: (B, P) the positives' parents.
        probabilities: (B, P, K) of their children by code, summing to 1; 0 where there is no child.
    """

    trie: Trie
    parents: Tensor
    probabilities: Tensor


def near_misses(trie: Trie, depth: int, parents: Tensor, logits: Tensor) -> Near:
    """The generator's probabilities (B, P, K) of the children of parents (B, P) of depth - 1, from its logits."""
    allowed = trie.allowed(depth - 1, parents)
    return Near(trie, parents, logits.detach().float().masked_fill(~allowed, float("-inf")).softmax(-1))


@dataclass(frozen=True)
class Negatives:
    """How many negatives there are at each depth, and how they are drawn.

    Deviation: the paper draws them evenly for every target, and does not say how many; that is `sampled` with
    `cross_attention`. Targets of a batch share those of `dot`, whose last depth is learned against all items.

    Attributes:
        counts: Negatives N at each depth; None = all valid prefixes.
        shared: Whether all targets of a batch share them.
        shares: For each depth how often each node is drawn, (N_depth,) summing to 1; None = uniformly.
        hard: Whether half of them are what the generator itself finds likely below the true parent.
    """

    counts: list[int | None]
    shared: bool = True
    shares: list[Tensor] | None = None
    hard: bool = False

    @classmethod
    def of(
        cls, reward: RewardModel, negatives: str | None, count: int | None, trie: Trie, item_counts: Tensor | None
    ) -> "Negatives":
        """The negatives of a configuration.

        Args:
            reward: Says how many it takes by default, and whether targets share them.
            negatives: `sampled`: distinct, uniform over the valid prefixes. `hard`: a target's own, half of them what
                the generator finds likely (`hard_negatives`), and `popularity`: as often as they occur in training
                (plus one); both with log-Q correction, so that in the mean the softmax over all prefixes is learned.
                `full_softmax`: all valid prefixes of every depth. `full_softmax_last`: all items at the last depth,
                which orders the answer, `sampled` ones above it. null = `full_softmax_last` for rewards that share
                negatives and a catalogue of at most `FULL_SOFTMAX_ITEMS`, else `sampled`.
            count: Drawn negatives N; null = the reward's own.
            trie: The catalogue's trie.
            item_counts: (I,) how often each item occurs in training; needed for `popularity`.

        Raises:
            ValueError: If counts are missing.
        """
        shared = reward.shares_negatives
        if negatives is None:
            negatives = "full_softmax_last" if shared and trie.nodes[-1] <= FULL_SOFTMAX_ITEMS else "sampled"
        if negatives == "hard":
            return cls([count or HARD_NEGATIVES] * trie.levels, shared=False, hard=True)
        above = None if negatives == "full_softmax" else count or reward.default_negatives
        last = None if negatives == "full_softmax_last" else above
        shares = None
        if negatives == "popularity":
            if item_counts is None:
                raise ValueError("training.negatives=popularity needs the items' counts, got none")
            shares = [frequencies(trie, depth, item_counts) for depth in range(1, trie.levels + 1)]
        return cls([*[above] * (trie.levels - 1), last], shared, shares)

    def draw(self, depth: int, positives: Tensor, size: int, near: Near | None = None) -> Drawn | None:
        """Negatives for positives (B, P) at a depth 1..L of `size` >= 2 prefixes, None = all; hard ones need `near`."""
        count, device = self.counts[depth - 1], positives.device
        if self.hard:
            assert near is not None and count is not None
            return hard_negatives(depth, positives, size, near, count)
        if not self.shared:
            nodes, repeated = own_negatives(positives, size, count or size)
            return Drawn(nodes, repeated=repeated)
        if count is None or count >= size:
            return None
        if self.shares is None:
            return Drawn(distinct_nodes(size, count, device))
        share = self.shares[depth - 1].to(device)
        nodes, times = torch.multinomial(share, count, replacement=True).unique(return_counts=True)
        return Drawn(nodes, (count * share[nodes] / times).log())  # n copies are one of n times the weight


def unshared(negatives: str) -> str:
    """The message for negatives that a reward whose targets share none cannot have."""
    return f"training.negatives={negatives} needs a reward whose targets share negatives, such as reward=dot"


def hard_negatives(depth: int, positives: Tensor, size: int, near: Near, count: int) -> Drawn:
    """Negatives of each target's own: one half evenly of the depth, one half as the generator would go wrong.

    That half are children of the true parent, drawn with the generator's probabilities: what a search meets once the
    path above is right. All are drawn with replacement; taking log-Q from their logits leaves the softmax over all
    prefixes in the mean.

    Args:
        depth: 1..L.
        positives: (B, P) nodes.
        size: Valid prefixes of the depth.
        near: The generator's probabilities.
        count: Negatives N.
    """
    likely = count // 2
    codes = torch.multinomial(near.probabilities.flatten(0, 1), max(1, likely), replacement=True)[:, :likely]
    parents = near.parents.unsqueeze(-1).expand(*positives.shape, likely)
    children = near.trie.child(depth - 1, parents, codes.view_as(parents))
    nodes = torch.cat((children, torch.randint(size, (*positives.shape, count - likely), device=positives.device)), -1)
    beside = near.trie.parent(depth, nodes) == near.parents.unsqueeze(-1)
    chances = near.probabilities.gather(-1, near.trie.last_code(depth, nodes)) * beside
    expected = likely * chances + (count - likely) / size
    return Drawn(nodes, expected.log())


def frequencies(trie: Trie, depth: int, item_counts: Tensor) -> Tensor:
    """Share of each node of a depth in the items' counts (I,), each plus one: (N_depth,), summing to 1."""
    totals = torch.zeros(trie.nodes[depth], dtype=torch.float64)
    totals.index_add_(0, trie.item_nodes(depth).cpu(), item_counts.double() + 1)
    return (totals / totals.sum()).float()


def distinct_nodes(size: int, count: int, device: torch.device) -> Tensor:
    """`count` <= `size` distinct nodes of 0..size-1, uniformly: (count,)."""
    if size <= max(1 << 16, 32 * count):
        return torch.randperm(size, device=device)[:count]
    drawn = torch.randint(size, (2 * count,), device=device).unique()  # twice as many: enough are left
    return drawn[torch.randperm(len(drawn), device=device)[:count]]


def own_negatives(positives: Tensor, size: int, count: int) -> tuple[Tensor, Tensor]:
    """Distinct negatives of each target's own, uniform over the other nodes.

    Args:
        positives: (B, P) nodes.
        size: Valid prefixes of the depth, >= 2.
        count: Negatives N wanted.

    Returns:
        Nodes (B, P, N) without the positive, and (B, P, N) True where one repeats another and must not count.
    """
    if size - 1 <= count:
        drawn = torch.arange(size - 1, device=positives.device).expand(*positives.shape, -1)
        absent = torch.zeros_like(drawn, dtype=torch.bool)
    else:
        drawn = torch.randint(size - 1, (*positives.shape, count), device=positives.device).sort(-1).values
        absent = torch.zeros_like(drawn, dtype=torch.bool)
        absent[..., 1:] = drawn[..., 1:] == drawn[..., :-1]
    return drawn + (drawn >= positives.unsqueeze(-1)), absent
