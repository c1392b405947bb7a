"""Exact scores of the whole catalogue with the same blend: the reference point of every search."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from promise.ids.trie import Children, Trie
from promise.search.beams import allowed_log_softmax
from promise.search.cost import Cost, cost_of
from promise.search.filters.restriction import Restriction
from promise.search.parts import TreeRanker
from promise.search.protocols import Batch, CatalogueRewards, Ranking, UserRows, require_members
from promise.search.scoring import best_items, blend, next_logits, refuse_nan, shaped

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


@dataclass(eq=False)
class ExhaustiveSearch(TreeRanker):
    """Ranks every item of the catalogue by `(1 - weight) log p + weight r / temperature` of its whole path.

    A prefix with a single child costs nothing: the child's probability is 1. With weight 1 no code is decoded.

    Args:
        weight: λ in [0, 1]: 0 = the generator's exact ranking, 1 = the reward over the catalogue.
        temperature: Divides the reward in the blend; > 0. What else it is made with is `TreeRanker`'s.

    Raises:
        ValueError: As `TreeRanker`.
    """

    weight: float
    temperature: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.asked is not None:
            require_members(f"the reward model {type(self.asked).__name__}", self.asked, CatalogueRewards)
        # Of equal scores the leaf of the lower first item comes first, its items in their order.
        self.leaves = self.trie.item_nodes(self.trie.levels)[self.trie.leaf_items]  # (I,) by place
        self.places = self.trie.item_of(self.leaves).argsort(stable=True)
        self.listed = self.trie.leaf_items[self.places]
        self.stages = [] if self.weight == 1.0 else stages(self.trie)
        widest = max((len(stage.rows) for stage in self.stages), default=0)
        self.users_at_once = max(1, min(ROWS_AT_ONCE // max(1, widest), SCORES_AT_ONCE // self.trie.items))

    def search(self, k: int, users: UserRows, restriction: Restriction, first: int) -> Ranking:
        """Scores and ranks: see `PartRanker.search`."""
        states = self.generator.encode(users.history, users.lengths)
        rewards = None
        if reward := self.asked:
            rewards = cast(CatalogueRewards, reward).score_all(reward.start(states), self.trie.levels)
            rewards = shaped("rewards of all items", rewards, (len(users.history), self.trie.nodes[-1])).float()
        if self.weight < 1.0:
            log_probs = self.log_probs(states, users, restriction)
        else:
            log_probs = torch.zeros(len(users.history), self.trie.nodes[-1], device=users.history.device)
        scores = blend(log_probs, rewards, self.weight, self.temperature)
        if self.trie.place_depth > self.trie.levels:  # elsewhere a leaf is the place of its item
            scores = scores[:, self.leaves]
        scores, columns = best_items(restriction.narrow(scores)[:, self.places], k)
        items = self.listed[columns].masked_fill(columns < 0, -1)
        refuse_nan({self.trie.levels: scores}, {self.trie.levels: log_probs}, first)
        return Ranking(items, scores, self.cost(users.lengths.clamp_max(self.generator.history).tolist()), [])

    def log_probs(self, users: Any, batch: Batch, restriction: Restriction) -> Tensor:
        """Exact log-probabilities of every leaf (B, I)."""
        count = len(batch.history)
        cache = self.generator.start(users)
        total = torch.zeros(count, 1, device=batch.history.device)
        for depth, stage in enumerate(self.stages):
            step = torch.zeros(count, self.trie.nodes[depth + 1], device=total.device)
            if len(stage.rows):
                logits, cache = next_logits(
                    self.generator, cache, stage.parents.expand(count, -1), stage.codes.expand(count, -1)
                )
                if len(nodes := stage.rows[stage.branching]):
                    one = self.trie.children_of(depth, nodes)  # (W, M), the same for every user
                    every = Children(*(field.expand(count, -1, -1) for field in one))
                    children = restriction.permit(depth, nodes.expand(count, -1), every)
                    log_probs = allowed_log_softmax(
                        logits[:, stage.branching], children, self.trie.level_sizes[depth]
                    )  # (B, W, M)
                    step[:, one.nodes[one.valid]] = log_probs[:, one.valid]
            total = total[:, stage.parent_of_next] + step
        return total

    def cost(self, history: Sequence[int]) -> Cost:
        """Closed-formula cost, without seconds, of users whose histories have the given lengths."""
        rows = [len(stage.rows) for stage in self.stages]
        reward = self.asked.flops if self.asked else None
        return cost_of(self.generator.flops, reward, history, rows, [self.trie.nodes[-1]])


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
