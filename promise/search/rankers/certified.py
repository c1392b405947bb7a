"""CertifiedSearch: the generator's exact best items without scoring the catalogue, and a certificate for each user."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from promise.ids.trie import Trie
from promise.search.beams import Beams, allowed_log_softmax
from promise.search.cost import cost_of
from promise.search.filters.restriction import Restriction, Restrictions
from promise.search.guided import GuidedSearch
from promise.search.options import check_options, entries
from promise.search.parts import CHILD_BYTES, PartRanker, users_at_once
from promise.search.protocols import Items, NextCodes, Ranking, UserRows
from promise.search.scoring import next_logits, refuse_nan, stable_topk

#: Working memory beyond networks and tables; a batch that would take more is searched in parts.
MAX_BYTES = 2**30

#: A log-probability that is computed twice differs by less.
ROUNDING = 1e-4


class Found(NamedTuple):
    """What is below the prefixes that were expanded.

    Attributes:
        items: (B, k) the best items, -1 = none.
        scores: (B, k) their log-probabilities.
        complete: (B,) whether every prefix that may lead to one of the k best was expanded.
        decoded: For each level how many prefixes were decoded for each user.
    """

    items: Tensor
    scores: Tensor
    complete: Tensor
    decoded: list[list[int]]


class CertifiedSearch(PartRanker):
    """Branch and bound: a prefix's probability bounds that of every path below it.

    A plain beam search finds W items. A second pass expands, level by level, every prefix that is at least as likely as
    the last of them; no other leads to one of the W likeliest, so its answer is the exact one. A user for whom that
    takes more than the budget gets the answer of the beam search, uncertified.

    Args:
        width: Beams W of the first pass; a number or one per level. No more items than in the last one are returned.
        budget: Prefixes expanded for a user in the second pass, at most.
        generator: Proposes next codes.
        trie: The catalogue's trie.
        remove_seen, allow, deny: What is never returned, as `ItemLists` takes it.

    Raises:
        ValueError: If an option is out of range, or a list is wrong.
    """

    def __init__(
        self,
        width: int | Sequence[int],
        budget: int,
        *,
        generator: NextCodes,
        trie: Trie,
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
    ) -> None:
        check_options({"width": width, "budget": budget})
        self.budget, self.generator, self.trie = budget, generator, trie
        self.restrictions = Restrictions(trie, remove_seen=remove_seen, allow=allow, deny=deny)
        self.plain = GuidedSearch(width, generator=generator, reward=None, trie=trie)
        self.width = min(entries(width)[-1], trie.items)
        rows = [min(budget, nodes) for nodes in trie.nodes[:-1]]
        steps = list(zip(rows, trie.fan_out, [*rows[1:], self.width], strict=True))
        second = users_at_once(MAX_BYTES, generator, steps, 0, CHILD_BYTES)
        self.users_at_once = min(second, self.plain.users_at_once)

    def search(self, k: int, users: UserRows, restriction: Restriction, first: int) -> Ranking:
        """Two passes, the encoder in each: see `PartRanker.search`; no prefixes are told as kept."""
        beams = self.plain.search(k, users, restriction, first)
        k = min(k, self.width)
        items, scores = padded(beams.items, k, -1), padded(beams.scores, k, -torch.inf)
        found = self.expand(k, users, restriction, scores[:, -1] - ROUNDING)
        refuse_nan({self.trie.levels: found.scores}, {self.trie.levels: found.scores}, first)
        certain = found.complete[:, None]
        history = users.lengths.clamp_max(self.generator.history).tolist()
        cost = replace(beams.cost + cost_of(self.generator.flops, None, history, found.decoded, []), users=len(history))
        return Ranking(
            found.items.where(certain, items), found.scores.where(certain, scores), cost, [], certified=found.complete
        )

    def expand(self, k: int, users: UserRows, restriction: Restriction, least: Tensor) -> Found:
        """The best items below prefixes whose log-probability is at least `least` (B,), as far as the budget goes."""
        cache = self.generator.start(self.generator.encode(users.history, users.lengths))
        beams = Beams.root(len(users.history), users.history.device)
        complete = torch.ones_like(least, dtype=torch.bool)
        spent = torch.zeros_like(users.lengths)
        decoded = []
        for depth in range(self.trie.levels):
            active = self.trie.branching(depth)[beams.nodes] & (beams.log_probs > -torch.inf)
            decoded.append(active.sum(1).tolist())
            spent = spent + active.sum(1)
            logits, cache = next_logits(self.generator, cache, beams.parents, beams.codes, active)
            children = restriction.children(depth, beams.nodes)
            log_probs = allowed_log_softmax(logits, children, self.trie.level_sizes[depth])
            total = (beams.log_probs.unsqueeze(-1) + log_probs).flatten(1)  # (B, W, M) -> (B, W*M)
            if depth == self.trie.levels - 1:
                break
            count = (total >= least[:, None]).logical_and_(total > -torch.inf).sum(1)
            beams = beams.extend(children, log_probs, max(1, min(int(count.max()), self.budget)))
            wanted = (beams.log_probs >= least[:, None]) & (beams.log_probs > -torch.inf)
            paid = spent + (self.trie.branching(depth + 1)[beams.nodes] & wanted).sum(1)
            complete &= (count <= beams.nodes.shape[1]) & (paid <= self.budget)
            wanted &= complete[:, None]
            beams = beams._replace(log_probs=beams.log_probs.masked_fill(~wanted, -torch.inf))
        scores, places = stable_topk(total, k, self.trie.item_of(children.nodes).flatten(1))
        leaves = children.nodes.flatten(1).gather(1, places).masked_fill(scores == -torch.inf, -1)
        items, scores = restriction.items(leaves, scores, k)
        return Found(padded(items, k, -1), padded(scores, k, -torch.inf), complete, decoded)


def padded(values: Tensor, width: int, fill: float) -> Tensor:
    """Rows (B, k) filled up to (B, width)."""
    return pad(values, (0, width - values.shape[1]), value=fill)
