"""Best of N: whole paths drawn from the generator, ranked by likelihood and reward."""

from collections.abc import Sequence
from functools import partial

import torch

from promise.ids.trie import Trie
from promise.search.beams import Beams, allowed_log_softmax
from promise.search.cost import Cost, cost_of
from promise.search.filters.restriction import Restriction, Restrictions
from promise.search.options import check_options
from promise.search.parts import rank_in_parts, users_at_once
from promise.search.protocols import Batch, Items, NextCodes, PathRewards, Ranking, UserRows
from promise.search.rankers.sampling import Distinct, Draw, Independent, Noise, tempered
from promise.search.scoring import blend, refuse_nan

#: Working memory beyond networks and tables; a batch that would take more is drawn in parts.
MAX_BYTES = 2**30

#: Working memory of one child of a prefix (nodes, codes, masks, log-probabilities, noise and their copies).
CHILD_BYTES = 160


class BestOfN:
    """Draws N whole paths a user, and ranks their items by `(1 - weight) log p + weight r`.

    A draw follows the generator's probabilities over the codes that the trie allows. It depends on the seed and the
    user's history alone: a user gets the same draws in every batch, and more samples keep those of fewer.

    Args:
        samples: Paths drawn per user N.
        temperature: Of the draws: divides the logits; > 0. The likelihood that ranks is the one at temperature 1.
        distinct: Draw without replacement, so that every path is another item.
        weight: Trust in the reward, λ in [0, 1]: 0 = likelihood alone, 1 = reward alone.
        generator: Proposes next codes.
        reward: Judges paths; may be None when weight is 0.
        trie: The catalogue's trie.
        remove_seen, allow, deny: What is never returned, as `ItemLists` takes it.
        seed: Of the draws.

    Raises:
        ValueError: If an option is out of range, the weight needs a reward model that is not there, or a list is wrong.
    """

    def __init__(
        self,
        samples: int,
        temperature: float,
        distinct: bool,
        weight: float,
        *,
        generator: NextCodes,
        reward: PathRewards | None,
        trie: Trie,
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
        seed: int = 0,
    ) -> None:
        check_options({"samples": samples, "temperature": temperature, "distinct": distinct, "weight": weight})
        if weight and reward is None:
            raise ValueError(f"search.weight={weight} needs a reward model, got a generator alone")
        self.samples = samples
        self.temperature = temperature
        self.draw_of = Distinct if distinct else Independent
        self.weight = float(weight)
        self.generator = generator
        self.reward = reward if weight else None
        self.trie = trie
        self.restrictions = Restrictions(trie, remove_seen=remove_seen, allow=allow, deny=deny)
        self.seed = seed

    @torch.inference_mode()
    def rank(self, batch: Batch, k: int, allow: Items | None = None, deny: Items | None = None) -> Ranking:
        """The k best items among those drawn, each once; -1 where fewer were drawn.

        `allow` and `deny` are those of `Ranker.rank`.

        Raises:
            ValueError: If the networks give NaN, or a list is wrong.
        """
        return rank_in_parts(partial(self.search, k), batch, self.users_at_once, self.restrictions, allow, deny)

    def search(self, k: int, users: UserRows, restriction: Restriction, first: int) -> Ranking:
        """Draws and ranks, for users who fit memory: rows of a batch from `first` on; the cost is without seconds."""
        states = self.generator.encode(users.history, users.lengths)
        cache = self.generator.start(states)
        draw: Draw = self.draw_of(self.samples, Noise(self.seed, users.history, users.lengths, self.generator.history))
        beams = Beams.root(len(users.history), users.history.device)
        kept, peaks, rows = [], {}, []
        for depth in range(self.trie.levels):
            active = beams.active(self.trie, depth)
            logits, cache = self.generator.next_code(cache, beams.parents, beams.codes, active)
            rows.append(beams.nodes.shape[1] if active is None else active.sum(1).tolist())
            children = restriction.children(depth, beams.nodes)
            log_probs = allowed_log_softmax(logits, children)
            beams = draw.extend(depth, beams, children, log_probs, tempered(log_probs, self.temperature))
            kept.append(beams.kept())
            peaks[depth + 1] = log_probs.flatten(1).amax(1, keepdim=True)  # NaN if any of them is
        refuse_nan(peaks, first)
        rewards = None
        if self.reward is not None:
            rewards = self.reward.score(self.reward.start(states), self.trie.levels, beams.nodes)
        scores = blend(beams.log_probs, rewards, self.weight, 1.0)
        best, scores = beams.select(scores, k, self.trie.item_of(beams.nodes))
        refuse_nan({self.trie.levels: scores}, first)
        judged = (beams.log_probs > -torch.inf).sum(1).tolist()
        cost = self.cost(users.lengths.clamp_max(self.generator.history).tolist(), rows, judged)
        return Ranking(self.trie.item_of(best.kept()), scores, cost, kept)

    @property
    def users_at_once(self) -> int:
        """Users whose draws take at most `MAX_BYTES`; at least 1."""
        steps, rows = [], 1
        for fan_out in self.trie.fan_out:
            steps.append((rows, fan_out, min(self.samples, rows * fan_out)))
            rows = steps[-1][-1]
        path_bytes = self.reward.path_bytes if self.reward else 0
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
        judged = min(self.samples, self.trie.items) if judged is None else judged
        return cost_of(self.generator.flops, self.reward.flops if self.reward else None, history, rows, [judged])
