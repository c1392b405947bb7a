"""Exact scores of the whole catalogue with the same blend: the reference point of every search."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from promise.ids.trie import Children, Trie
from promise.search.beams import allowed_log_softmax
from promise.search.cost import Cost, cost_of
from promise.search.filters.restriction import Restriction, Restrictions
from promise.search.options import check_options
from promise.search.parts import rank_in_parts
from promise.search.protocols import Batch, Items, NextCodes, PathRewards, Ranking, UserRows
from promise.search.scoring import best_items, blend, refuse_nan

#: Decoder rows (users x prefixes) computed at once; 256 logits each make 32 MiB.
ROWS_AT_ONCE = 32_768

#: Scores (users x items) held at once: 64 MiB.
SCORES_AT_ONCE = 1 << 24


class Stage(NamedTuple):
    """A depth of the trie as exact log-probabilities need it, the same for every user.

    Attributes:
        rows: Nodes that the decoder is run for: they, or a prefix below them, have several children.
        parents: For each of them the row of its parent in the stage before.
        codes: For each of them its last code.
        branching: Which rows have several children.
        parent_of_next: Parent node of every node one depth below.
    """

    rows: Tensor
    parents: Tensor
    codes: Tensor
    branching: Tensor
    parent_of_next: Tensor


class ExhaustiveSearch:
    """Ranks every item of the catalogue by `(1 - weight) log p + weight r / temperature` of its whole path.

    A prefix with a single child costs nothing: the child's probability is 1. With weight 1 no code is decoded.

    Args:
        weight: λ in [0, 1]: 0 = the generator's exact ranking, 1 = the reward over the catalogue.
        temperature: Divides the reward in the blend; > 0.
        generator: Proposes next codes.
        reward: Judges paths; may be None when weight is 0.
        trie: The catalogue's trie.
        remove_seen, allow, deny: What is never returned, as `ItemLists` takes it.

    Raises:
        ValueError: If an option is out of range, the weight needs a reward model that is not there, or a list is wrong.
    """

    def __init__(
        self,
        weight: float,
        temperature: float,
        *,
        generator: NextCodes,
        reward: PathRewards | None,
        trie: Trie,
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
    ) -> None:
        check_options({"weight": weight, "temperature": temperature})
        if weight and reward is None:
            raise ValueError(f"search.weight={weight} needs a reward model, got a generator alone")
        self.weight = float(weight)
        self.temperature = temperature
        self.generator = generator
        self.reward = reward if weight else None
        self.trie = trie
        self.restrictions = Restrictions(trie, remove_seen=remove_seen, allow=allow, deny=deny)
        self.leaves = trie.item_nodes(trie.levels)
        self.stages = [] if self.weight == 1.0 else stages(trie)
        widest = max((len(stage.rows) for stage in self.stages), default=0)
        self.users_at_once = max(1, min(ROWS_AT_ONCE // max(1, widest), SCORES_AT_ONCE // trie.items))

    @torch.inference_mode()
    def rank(self, batch: Batch, k: int, allow: Items | None = None, deny: Items | None = None) -> Ranking:
        """The k best items of every user; `allow` and `deny` as `Ranker.rank`.

        Raises:
            ValueError: If the networks give NaN, or a list is wrong.
        """
        return rank_in_parts(partial(self.search, k), batch, self.users_at_once, self.restrictions, allow, deny)

    def search(self, k: int, users: UserRows, restriction: Restriction, first: int) -> Ranking:
        """Scores and ranks, for users who fit memory: rows of a batch from `first` on; the cost is without seconds."""
        states = self.generator.encode(users.history, users.lengths)
        rewards = None
        if self.reward is not None:
            rewards = self.reward.score_all(self.reward.start(states), self.trie.levels).float()
        if self.weight < 1.0:
            log_probs = self.log_probs(states, users, restriction)
        else:
            log_probs = torch.zeros(len(users.history), self.trie.items, device=users.history.device)
        scores = blend(restriction.narrow(log_probs), rewards, self.weight, self.temperature)
        scores, items = best_items(scores[:, self.leaves], k)
        refuse_nan({self.trie.levels: scores}, first)
        return Ranking(items, scores, self.cost(users.lengths.clamp_max(self.generator.history).tolist()), [])

    def log_probs(self, users: Any, batch: Batch, restriction: Restriction) -> Tensor:
        """Exact log-probabilities of every leaf (B, I)."""
        count = len(batch.history)
        cache = self.generator.start(users)
        total = torch.zeros(count, 1, device=batch.history.device)
        for depth, stage in enumerate(self.stages):
            step = torch.zeros(count, self.trie.nodes[depth + 1], device=total.device)
            if len(stage.rows):
                logits, cache = self.generator.next_code(
                    cache, stage.parents.expand(count, -1), stage.codes.expand(count, -1)
                )
                if len(nodes := stage.rows[stage.branching]):
                    one = self.trie.children_of(depth, nodes)  # (W, M), the same for every user
                    every = Children(*(field.expand(count, -1, -1) for field in one))
                    children = restriction.permit(depth, nodes.expand(count, -1), every)
                    log_probs = allowed_log_softmax(logits[:, stage.branching], children)  # (B, W, M)
                    step[:, one.nodes[one.valid]] = log_probs[:, one.valid]
            total = total[:, stage.parent_of_next] + step
        return total

    def cost(self, history: Sequence[int]) -> Cost:
        """Closed-formula cost, without seconds, of users whose histories have the given lengths."""
        rows = [len(stage.rows) for stage in self.stages]
        reward = None if self.reward is None else self.reward.flops
        return cost_of(self.generator.flops, reward, history, rows, [self.trie.items])


def stages(trie: Trie) -> list[Stage]:
    """Finds the prefixes that must be decoded, depth by depth."""
    device = trie.leaf_items.device
    result: list[Stage] = []
    row_of_node = torch.zeros(1, dtype=torch.int64, device=device)
    for depth in range(trie.levels):
        rows = trie.branching(depth).nonzero().squeeze(1)
        if depth:
            parents = row_of_node[trie.parent(depth, rows)]
            codes = trie.last_code(depth, rows)
        else:
            parents = codes = torch.zeros(len(rows), dtype=torch.int64, device=device)
        branching = trie.child_counts(depth)[rows] > 1
        parent_of_next = trie.parent(depth + 1, torch.arange(trie.nodes[depth + 1], device=device))
        result.append(Stage(rows, parents, codes, branching, parent_of_next))
        row_of_node = torch.zeros(trie.nodes[depth], dtype=torch.int64, device=device)
        row_of_node[rows] = torch.arange(len(rows), device=device)
    return result
