"""RewardBeam: beam search by the reward alone, over all children of its beams; the generator proposes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from promise.search.beams import Beams
from promise.search.cost import cost_of
from promise.search.filters.restriction import Restriction
from promise.search.options import per_level
from promise.search.parts import CHILD_BYTES, TreeRanker, users_at_once
from promise.search.protocols import Ranking, UserRows
from promise.search.scoring import blend, refuse_nan, rewards_of

#: Working memory beyond networks and tables; a batch that would take more is searched in parts.
MAX_BYTES = 2**30


@dataclass(eq=False)
class RewardBeam(TreeRanker):
    """A control: guided search with λ = 1 whose candidates are all children of its beams, so that none is decoded.

    Of the generator it takes the user states alone. Tree retrieval works so (Zhu et al. 2018, arXiv 1801.02294); what
    guided search has over it is what the generator's proposals are worth.

    Args:
        width: Beams W kept at a level; a number or one per level. What else it is made with is `TreeRanker`'s.

    Raises:
        ValueError: As `TreeRanker`.
    """

    width: int | Sequence[int]
    weight: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.reward is not None
        wanted = per_level("width", self.width, self.trie.levels)
        self.widths = [min(width, nodes) for width, nodes in zip(wanted, self.trie.nodes[1:], strict=True)]
        fan_out = [*self.trie.fan_out, self.trie.leaf_size]
        steps = [(0, 0, beams * most) for beams, most in zip([1, *self.widths], fan_out, strict=True)]
        self.users_at_once = users_at_once(MAX_BYTES, self.generator, steps, self.reward.path_bytes, CHILD_BYTES)

    def search(self, k: int, users: UserRows, restriction: Restriction, first: int) -> Ranking:
        """The search; at most the items of the last level's beams: see `PartRanker.search`."""
        assert self.reward is not None
        states = self.generator.encode(users.history, users.lengths)
        context = self.reward.start(states)
        beams = Beams.root(len(users.history), users.history.device)
        found, proposed, judged, kept = {}, {}, [], []
        for depth, width in enumerate(self.widths, start=1):
            children = restriction.children(depth - 1, beams.nodes)  # (B, W, M)
            absent = ~children.valid | (beams.log_probs == -torch.inf).unsqueeze(-1)
            counts = (~absent).flatten(1).sum(1)
            alike = torch.zeros(absent.shape, device=absent.device).masked_fill(absent, -torch.inf)
            there = int(counts.max())
            most = max(there, width)
            if 2 * most < absent[0].numel():
                drafts = beams.extend(children, alike, most)
            else:  # to sort the absent ones out would take longer than to score them
                every = torch.arange(absent[0].numel(), device=absent.device).expand(len(absent), -1)
                drafts = Beams.chosen(children, every, alike.flatten(1))
            last = depth == len(self.widths)
            asked = counts > (0 if last else width)  # where nothing is cut before the end, no reward is asked
            rewards = None
            if asked.any():
                rewards = rewards_of(self.reward, context, depth, drafts.nodes).masked_fill(~asked[:, None], 0.0)
            order = self.trie.item_of(drafts.nodes) if last else None  # decides ties
            beams, found[depth] = drafts.select(blend(drafts.log_probs, rewards, 1.0, 1.0), width, order)
            proposed[depth] = drafts.log_probs
            judged.append((counts * asked).tolist())
            kept.append(beams.kept())
        refuse_nan(found, proposed, first)
        history = users.lengths.clamp_max(self.generator.history).tolist()
        cost = cost_of(self.generator.flops, self.reward.flops, history, [], judged)
        items, scores = restriction.items(kept[-1], found[len(self.widths)], k)
        return Ranking(items, scores, cost, kept)
