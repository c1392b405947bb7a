"""CooccurrenceReward: any reward model, with learned terms for the paths above the items that a history speaks of."""

from typing import Any

import torch
from torch import Tensor

from promise.models.cooccurrence.generator import CooccurrenceOutput
from promise.models.cooccurrence.prefix_bias import NodeSums, PrefixBias
from promise.models.flops import RewardFlops
from promise.models.full_softmax import Additions
from promise.models.reward.model import RewardCache, RewardModel, Tensors


class CooccurrenceReward(RewardModel):
    """A reward model whose rewards grow where a history's items, and the neighbours of these, lie below a path.

    It reads what a `CooccurrenceGenerator` encodes.

    Args:
        inner: The reward model.
        history: Most items H of a history.
        counted: For each table of neighbours whether it is counted from sequences.
        item_nodes: Trie node of every item's prefix at each depth (I, L).
    """

    def __init__(self, *, inner: RewardModel, history: int, counted: list[bool], item_nodes: Tensor) -> None:
        super().__init__([])
        self.inner = inner
        self.bias = PrefixBias(history, counted, item_nodes=item_nodes)
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
        biases = [self.bias(depth, items, items.ages) for depth in range(1, len(self.bias.sizes) + 1)]
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

    def seen(self, users: CooccurrenceOutput, positions: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """Nodes (B, E) at a depth, and what is added to each seen from positions: (B, P, E)."""
        return self.bias(depth, users.history_items, users.history_items.ages_from(positions))

    def contrast(  # type: ignore[override]
        self, users: CooccurrenceOutput, positions: Tensor, depth: int, positives: Tensor, negatives: Tensor
    ) -> tuple[Tensor, Tensor]:
        of_positives, of_negatives = self.inner.contrast(users.users, positions, depth, positives, negatives)
        nodes, terms = self.seen(users, positions, depth)
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
        nodes, terms = self.seen(users, positions, depth)
        terms = terms[real]  # (R, E)
        if extra is not None:
            nodes, terms = torch.cat((nodes, extra.items), 1), torch.cat((terms, extra.terms), 1)
        own = Additions(nodes, real.nonzero()[:, 0], terms)
        return self.inner.full_softmax_loss(users.users, positions, depth, positives, real, own)

    def extend(
        self, prefixes: Tensors, moved: Tensors, content: Tensors | None = None, item_nodes: Tensor | None = None
    ) -> None:
        if item_nodes is None:
            raise ValueError("a reward with co-occurrence counts needs the trie nodes of the items, got none")
        self.inner.extend(prefixes, moved, content, item_nodes)
        self.bias.move(item_nodes)
        self.sizes = self.inner.sizes
