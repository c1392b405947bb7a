"""CooccurrenceReward: any reward model, with learned terms for the paths above the items that a history speaks of."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from promise.models.cooccurrence.generator import CooccurrenceOutput
from promise.models.cooccurrence.history_bias import HistoryBias, prefix_shares
from promise.models.cooccurrence.neighbours import HistoryItems
from promise.models.flops import RewardFlops
from promise.models.full_softmax import Additions
from promise.models.reward.model import RewardCache, RewardModel, Tensors


class NodeSums(NamedTuple):
    """Entries (B, E) grouped by node, so that what is said of one node is summed once and found by bisection.

    Attributes:
        nodes: (B, E) the distinct nodes of each user, ascending; filled up with the largest integer.
        group: (B, E) which of them each entry is of.
    """

    nodes: Tensor
    group: Tensor

    @classmethod
    def of(cls, nodes: Tensor) -> "NodeSums":
        """Group entries by their nodes (B, E)."""
        ordered, order = nodes.sort(1)
        first = torch.ones_like(ordered, dtype=torch.bool)
        first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        run = first.cumsum(1) - 1
        filled = torch.full_like(nodes, torch.iinfo(nodes.dtype).max)
        return cls(filled.scatter_(1, run, ordered), torch.empty_like(run).scatter_(1, order, run))

    def sums(self, terms: Tensor) -> Tensor:
        """Sum of the terms of each distinct node: (B, E), or (B, P, E) with one row per position; of the same shape."""
        group = self.group if terms.ndim == 2 else self.group[:, None].expand(terms.shape)
        return torch.zeros_like(terms).scatter_add(-1, group, terms)

    def places(self, paths: Tensor) -> tuple[Tensor, Tensor]:
        """Places (B, C) of nodes (B, C) among the distinct ones, and a mask (B, C) of those that are there."""
        places = torch.searchsorted(self.nodes, paths.contiguous()).clamp_max(self.nodes.shape[1] - 1)
        return places, self.nodes.gather(1, places) == paths


class CooccurrenceReward(RewardModel):
    """A reward model whose rewards grow where a history's items, and the neighbours of these, lie below a path.

    It reads what a `CooccurrenceGenerator` encodes.

    Args:
        inner: The reward model.
        history: Most items H of a history.
        counted: For each table of neighbours whether it is counted from sequences.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
    """

    nodes: Tensor

    def __init__(self, *, inner: RewardModel, history: int, counted: list[bool], item_nodes: Tensor) -> None:
        super().__init__([])
        self.inner = inner
        self.bias = HistoryBias(history, counted, item_nodes=item_nodes)
        self.register_buffer("nodes", item_nodes, persistent=False)
        self.sizes = inner.sizes
        self.default_negatives, self.shares_negatives = inner.default_negatives, inner.shares_negatives

    @property
    def flops(self) -> RewardFlops:
        """As the reward model: sums of counts are no FLOPs here."""
        return self.inner.flops

    @property
    def path_bytes(self) -> int:  # type: ignore[override]
        return self.inner.path_bytes

    def start(self, users: CooccurrenceOutput) -> RewardCache:  # type: ignore[override]
        """The reward model's cache, and for every depth nodes (B, E) and what is added to each (B, E)."""
        items = users.history_items
        biases = [self.prefix_bias(depth, items, items.ages) for depth in range(1, len(self.sizes) + 1)]
        return RewardCache((self.inner.start(users.users), biases))

    def score(self, cache: RewardCache, depth: int, nodes: Tensor) -> Tensor:
        inner, biases = cache.values
        at, terms = biases[depth - 1]
        groups = NodeSums.of(at)
        places, found = groups.places(nodes)
        return self.inner.score(inner, depth, nodes) + groups.sums(terms).gather(1, places) * found

    def score_all(self, cache: RewardCache, depth: int) -> Tensor:
        inner, biases = cache.values
        nodes, terms = biases[depth - 1]
        rewards = self.inner.score_all(inner, depth)
        return rewards.scatter_add(1, nodes, terms.to(rewards.dtype))

    def prefix_bias(self, depth: int, items: HistoryItems, ages: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes (B, E) at a depth and what is added to each, (B, E) or (B, P, E): entries of a node add up.

        Args:
            depth: 1..L.
            items: What the histories speak of.
            ages: (B, H), or (B, P, H) seen from P positions; below 0 = not seen yet.
        """
        own, *near = items.split(self.nodes[items.items, depth - 1])
        own_terms, *scores = items.split(self.bias(depth, items, ages))
        nodes, terms = [own], [own_terms]
        for bias, there, score in zip(self.bias.neighbours, near, scores, strict=True):
            groups = NodeSums.of(there)
            nodes.append(groups.nodes.where(groups.nodes < self.sizes[depth - 1], 0))  # those that fill up score 0
            terms.append(bias(depth, groups.sums(score)))
        return torch.cat(nodes, 1), torch.cat(terms, -1)

    def contrast(  # type: ignore[override]
        self, users: CooccurrenceOutput, positions: Tensor, depth: int, positives: Tensor, negatives: Tensor
    ) -> tuple[Tensor, Tensor]:
        of_positives, of_negatives = self.inner.contrast(users.users, positions, depth, positives, negatives)
        nodes, terms = self.prefix_bias(depth, users.history_items, users.history_items.ages_from(positions))
        groups = NodeSums.of(nodes)
        sums = groups.sums(terms)  # (B, P, E)
        places, found = groups.places(positives)
        of_positives = of_positives + sums.gather(2, places[..., None]).squeeze(2) * found
        if negatives.ndim == 3:
            places, found = (x.view_as(negatives) for x in groups.places(negatives.flatten(1)))
            return of_positives, of_negatives + sums.gather(2, places) * found
        # Of the shared negatives each user's history speaks of a few at most: add to those places only.
        size = self.sizes[depth - 1]
        place = torch.full((size + 1,), -1, device=nodes.device)
        place[negatives] = torch.arange(len(negatives), device=nodes.device)
        at = place[groups.nodes.clamp_max(size)]  # (B, E)
        sums = (sums * (at >= 0)[:, None]).to(of_negatives.dtype)
        return of_positives, of_negatives.scatter_add(2, at.clamp_min(0)[:, None].expand(sums.shape), sums)

    def full_softmax_loss(
        self, users: Any, positions: Tensor, depth: int, positives: Tensor, real: Tensor, extra: Additions | None = None
    ) -> Tensor:
        nodes, terms = self.prefix_bias(depth, users.history_items, users.history_items.ages_from(positions))
        terms = terms[real]  # (R, E)
        if extra is not None:
            nodes, terms = torch.cat((nodes, extra.items), 1), torch.cat((terms, extra.terms), 1)
        own = Additions(nodes, real.nonzero()[:, 0], terms)
        return self.inner.full_softmax_loss(users.users, positions, depth, positives, real, own)

    def extend(
        self, prefixes: Tensors, moved: Tensors, content: Tensors | None = None, item_nodes: Tensor | None = None
    ) -> None:
        assert item_nodes is not None
        self.inner.extend(prefixes, moved, content, item_nodes)
        self.nodes = item_nodes.to(self.nodes.device)
        self.bias.own.shares = prefix_shares(self.nodes)
        self.sizes = self.inner.sizes
