"""Scores: the blend of likelihood and reward, the best of them without luck in ties, and rewards of the wrong paths."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from promise.ids.trie import Trie
from promise.search.cost import RewardCost
from promise.search.protocols import NextCodes, NotANumber, PathRewards


def blend(
    log_probs: Tensor, rewards: Tensor | None, weight: float, temperature: float, fusion: float | None = None
) -> Tensor:
    """Score of a path: (1 - weight) log p + weight r / temperature (METHOD: λ = weight).

    Deviation: the paper ranks by the reward alone, weight 1.

    Args:
        log_probs: Cumulative log-probabilities, any shape; -inf where a path is forbidden or absent.
        rewards: Rewards of the same shape; may be None at weight 0.
        weight: In [0, 1]; 0 = likelihood alone, 1 = reward alone (the paper).
        temperature: Divides the reward; > 0.
        fusion: Constant > 0 of reciprocal rank fusion, of paths (B, C): where both have a say, 1 / (fusion + rank)
            stands for log p and for r / temperature (Cormack et al. 2009); None = the scores themselves.

    Returns:
        Scores; forbidden paths stay at -inf at every weight (0 x -inf would be NaN, so they are masked first).
    """
    if weight == 0.0 or rewards is None:
        return log_probs
    absent = log_probs == -torch.inf
    if fusion is not None and weight < 1.0:
        log_probs, temperature = reciprocal_ranks(log_probs, fusion), 1.0
        rewards = reciprocal_ranks(rewards.float().masked_fill(absent, -torch.inf), fusion)
    mixed = (1.0 - weight) * log_probs.masked_fill(absent, 0.0) + (weight / temperature) * rewards.float()
    return mixed.masked_fill(absent, -torch.inf)


def reciprocal_ranks(scores: Tensor, constant: float) -> Tensor:
    """1 / (constant + rank) of scores (B, C), the highest of rank 1, equal ones by their places; NaN and +inf: NaN.

    >>> reciprocal_ranks(torch.tensor([[0.5, 2.0, 0.5]]), 1.0).tolist()
    [[0.3333333432674408, 0.5, 0.25]]
    """
    ranks = stable_order(scores, None).argsort(dim=1) + 1
    return (1.0 / (constant + ranks)).masked_fill(~(scores < torch.inf), torch.nan)


def best_items(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k items of the highest scores, those of equal scores by their numbers.

    Args:
        scores: (B, I) by item; -inf where an item may not be returned.
        k: Items wanted; fewer if there are no more.

    Returns:
        Scores (B, min(k, I)), falling (NaN first), and items (B, min(k, I)), -1 at a score of -inf.
    """
    top, items = stable_topk(scores, k)
    return top, items.masked_fill(top == -torch.inf, -1)


def stable_topk(scores: Tensor, k: int, items: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k highest of scores (B, n), NaN first, and their places; equal ones by item (B, n), or by place."""
    if torch.compiler.is_compiling():  # nothing below may depend on the data
        places = stable_order(scores, items)[:, :k]
        return scores.gather(1, places), places
    count = scores.shape[1]
    top, places = scores.topk(min(k + 1, count))
    if k < count:
        # topk picks any of the scores that tie at the cut.
        tied = ((top[:, k - 1] == top[:, k]) & (top[:, k] > -torch.inf)).nonzero().squeeze(1)
        top, places = top[:, :k].clone(), places[:, :k].clone()
        if len(tied):
            if items is None:
                for row in tied:
                    places[row] = first_at_cut(scores[row], k, top[row, -1])
            else:
                places[tied] = stable_order(scores[tied], items[tied])[:, :k]
            top[tied] = scores[tied].gather(1, places[tied])
    order = stable_order(top, places if items is None else items.gather(1, places))
    return top.gather(1, order), places.gather(1, order)


def first_at_cut(scores: Tensor, k: int, least: Tensor) -> Tensor:
    """(k,) places of the k highest of scores (n,), the first ones of those equal to the k-th, `least`.

    Many times as fast as a sort where there are many places, as in counts over a large catalogue.
    """
    above = (~(scores <= least)).nonzero().squeeze(1)  # NaN too
    return torch.cat((above, (scores == least).nonzero().squeeze(1)[: k - len(above)]))


def stable_order(scores: Tensor, items: Tensor | None) -> Tensor:
    """(B, n) places that sort scores (B, n), best first and NaN before all, equal ones by item (B, n) or place."""
    if items is None:
        return scores.sort(dim=1, descending=True, stable=True).indices
    by_item = items.argsort(dim=1)
    return by_item.gather(1, stable_order(scores.gather(1, by_item), None))


def shaped(what: str, tensor: Any, shape: Sequence[int]) -> Tensor:
    """The tensor itself, once it is known to be one of this shape: torch would spread a smaller one over all paths.

    Args:
        what: Names the tensor, for the error.
        tensor: What a network gave.
        shape: What it should be.

    Raises:
        ValueError: If it is something else.
    """
    if not isinstance(tensor, Tensor) or tensor.shape != tuple(shape):
        got = f"shape {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ValueError(f"{what} must be a tensor of shape {tuple(shape)}, got {got}")
    return tensor


def rewards_of(reward: PathRewards, context: Any, depth: int, nodes: Tensor) -> Tensor:
    """Rewards (B, C) of paths that end in nodes (B, C) of a depth.

    Raises:
        ValueError: If the reward model gives something else.
    """
    return shaped(f"rewards at level {depth}", reward.score(context, depth, nodes), nodes.shape)


def next_logits(
    generator: NextCodes, cache: Any, parents: Tensor, codes: Tensor, *active: Tensor | None
) -> tuple[Tensor, Any]:
    """Logits and the cache for the next level, as `NextCodes.next_code` gives them.

    Raises:
        ValueError: If the generator gives anything but the two.
    """
    answer = generator.next_code(cache, parents, codes, *active)
    if not isinstance(answer, tuple) or len(answer) != 2:  # two rows of a tensor would pass for the two
        got = f"{len(answer)} things" if isinstance(answer, tuple) else type(answer).__name__
        raise ValueError(f"next_code must give logits and the cache for the next level, got {got}")
    return answer


def refuse_nan(scores: Mapping[int, Tensor], log_probs: Mapping[int, Tensor], first: int = 0) -> None:
    """Refuses an answer that rests on a NaN or +inf of the networks: sorted by score it would come first.

    Args:
        scores: For each level 1..L that was cut the scores (B, W) that were kept, best first.
        log_probs: Of the same levels what the generator gave (B, C), which tells whose fault it is.
        first: Row of the batch at which they begin.

    Raises:
        NotANumber: Naming the network, the level and the row of the batch.
    """
    best = torch.stack([kept[:, 0] for kept in scores.values()])  # topk puts NaN before all numbers
    bad = ~(best < torch.inf)
    if bad.any():
        place, row = bad.nonzero()[0].tolist()
        level, what = list(scores)[place], "NaN" if best[place, row].isnan() else "+inf"
        whose = "generator" if log_probs[level][row].isnan().any() else "reward model"
        raise NotANumber(f"the {whose} gave {what} at level {level} for row {first + row} of the batch")


class ShuffledRewards:
    """The reward model with its paths permuted within each depth, so that it judges the wrong ones: a control.

    Whatever gain survives this comes from the search's shape and not from the reward.

    Args:
        inner: The reward model.
        trie: Gives the number of prefixes per depth.
        seed: Of the permutations.
    """

    def __init__(self, inner: PathRewards, trie: Trie, seed: int) -> None:
        self.inner = inner
        random = torch.Generator().manual_seed(seed)
        device = trie.item_nodes(0).device
        self.permutations = [torch.randperm(n, generator=random).to(device) for n in trie.nodes]

    @property
    def flops(self) -> RewardCost:
        return self.inner.flops

    @property
    def path_bytes(self) -> int:
        return self.inner.path_bytes

    def start(self, users: Any) -> Any:
        """As the reward model."""
        return self.inner.start(users)

    def score(self, context: Any, depth: int, nodes: Tensor) -> Tensor:
        """Rewards of other paths of the same depth."""
        return self.inner.score(context, depth, self.permutations[depth][nodes])
