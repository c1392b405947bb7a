"""Best of N: whole paths drawn from the generator, ranked by likelihood and reward."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import torch

from promise.search.beams import Beams, allowed_log_softmax
from promise.search.cost import Cost, cost_of
from promise.search.filters.restriction import Restriction
from promise.search.parts import TreeRanker, users_at_once
from promise.search.protocols import Ranking, UserRows
from promise.search.rankers.sampling import Draws, Noise, tempered
from promise.search.scoring import blend, next_logits, refuse_nan, rewards_of

#: Working memory beyond networks and tables; a batch that would take more is drawn in parts.
MAX_BYTES = 2**30

#: Working memory of one child of a prefix (nodes, codes, masks, log-probabilities, noise and their copies).
CHILD_BYTES = 160


@dataclass(eq=False)
class BestOfN(TreeRanker):
    """Draws N different paths a user, and ranks their items by `(1 - weight) log p + weight r`.

    A draw follows the generator's probabilities over the codes that the trie allows, without replacement. It depends on
    the seed and the user's history alone: a user gets the same draws in every batch, and more samples keep those of
    fewer.

    Args:
        samples: Paths drawn per user N.
        temperature: Of the draws: divides the logits; > 0. The likelihood that ranks is the one at temperature 1.
        weight: Trust in the reward, λ in [0, 1]: 0 = likelihood alone, 1 = reward alone.
        seed: Of the draws. What else it is made with is `TreeRanker`'s.

    Raises:
        ValueError: As `TreeRanker`.
    """

    samples: int
    temperature: float
    weight: float
    _: KW_ONLY
    seed: int = 0

    def search(self, k: int, users: UserRows, restriction: Restriction, first: int) -> Ranking:
        """Draws and ranks; -1 where fewer items were drawn: see `PartRanker.search`."""
        states = self.generator.encode(users.history, users.lengths)
        cache = self.generator.start(states)
        draws = Draws(self.samples, Noise(self.seed, users.history, users.lengths, self.generator.history))
        beams = Beams.root(len(users.history), users.history.device)
        kept, peaks, rows = [], {}, []
        for depth in range(self.trie.levels):
            active = beams.active(self.trie, depth)
            logits, cache = next_logits(self.generator, cache, beams.parents, beams.codes, active)
            rows.append(beams.nodes.shape[1] if active is None else active.sum(1).tolist())
            children = restriction.children(depth, beams.nodes)
            log_probs = allowed_log_softmax(logits, children, self.trie.level_sizes[depth])
            beams = draws.extend(depth, beams, children, log_probs, tempered(log_probs, self.temperature))
            kept.append(beams.kept())
            peaks[depth + 1] = log_probs.flatten(1).amax(1, keepdim=True)  # NaN if any of them is
        refuse_nan(peaks, peaks, first)
        rewards = None
        if reward := self.asked:
            rewards = rewards_of(reward, reward.start(states), self.trie.levels, beams.nodes)
        scores = blend(beams.log_probs, rewards, self.weight, 1.0)
        best, scores = beams.select(scores, k, self.trie.item_of(beams.nodes))
        refuse_nan({self.trie.levels: scores}, {self.trie.levels: beams.log_probs}, first)
        judged = (beams.log_probs > -torch.inf).sum(1).tolist()
        cost = self.cost(users.lengths.clamp_max(self.generator.history).tolist(), rows, judged)
        items, scores = restriction.items(best.kept(), scores, k)
        return Ranking(items, scores, cost, kept, candidates=kept[-1])

    @property
    def users_at_once(self) -> int:
        """Users whose draws take at most `MAX_BYTES`; at least 1."""
        steps, rows = [], 1
        for fan_out in self.trie.fan_out:
            steps.append((rows, fan_out, min(self.samples, rows * fan_out)))
            rows = steps[-1][-1]
        steps.append((1, rows * self.trie.leaf_size, 0))
        path_bytes = self.asked.path_bytes if self.asked else 0
        return users_at_once(MAX_BYTES, self.generator, steps, path_bytes, CHILD_BYTES)

    def cost(self, history: Sequence[int], rows: list | None = None, judged: list[int] | int | None = None) -> Cost:
        """Closed-formula cost, without seconds, of users with histories of the given lengths.

        Args:
            history: Items that the generator reads, of each user.
            rows: Prefixes decoded at each level, for all users alike or of each; None = as many as can be.
            judged: Distinct items drawn for each user; None likewise.
        """
        if rows is None:
            rows = [min(self.samples, int(self.trie.branching(depth).sum())) for depth in range(self.trie.levels)]
        judged = min(self.samples, self.trie.nodes[-1]) if judged is None else judged
        return cost_of(self.generator.flops, self.asked.flops if self.asked else None, history, rows, [judged])
