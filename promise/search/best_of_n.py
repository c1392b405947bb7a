"""Best of N: whole paths drawn from the generator, ranked by likelihood and reward."""

from functools import partial

import torch

from promise.ids.trie import Trie
from promise.search.beams import Beams, allowed_log_softmax
from promise.search.cost import Cost
from promise.search.dials import check_dials
from promise.search.parts import rank_in_parts
from promise.search.protocols import Items, NextCodes, PathRewards, Ranking, Users
from promise.search.restriction import Restriction, Restrictions
from promise.search.sampling import Distinct, Draw, Independent, Noise, tempered
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
        remove_seen: Never return an item of the user's history.
        allow: (n,) the only items that are ever returned; None = all.
        deny: (n,) items that are never returned; None = none.
        seed: Of the draws.

    Raises:
        ValueError: If a dial is out of range, the weight needs a reward model that is not there, or a list is wrong.
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
        check_dials({"samples": samples, "temperature": temperature, "distinct": distinct, "weight": weight})
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
    def rank(self, batch: Users, k: int, allow: Items | None = None, deny: Items | None = None) -> Ranking:
        """The k best items among those drawn, each once; -1 where fewer were drawn.

        `allow` and `deny` are those of `promise.search.item_lists.ItemLists.of`.

        Raises:
            ValueError: If the networks give NaN, or a list is wrong.
        """
        return rank_in_parts(partial(self.search, k), batch, self.users_at_once, self.restrictions, allow, deny)

    def search(self, k: int, users: Users, restriction: Restriction | None, first: int) -> Ranking:
        """Draw and rank, for as many users as memory allows; the cost is without seconds.

        Args:
            k: Items wanted.
            users: Some users of a batch.
            restriction: What they may be given; None = everything.
            first: Row of the batch at which they begin.
        """
        states = self.generator.encode(users.history, users.lengths)
        cache = self.generator.start(states)
        draw: Draw = self.draw_of(self.samples, Noise(self.seed, users.history, users.lengths, self.generator.history))
        beams = Beams.root(len(users.history), users.history.device)
        kept, peaks, rows = [], {}, []
        for depth in range(self.trie.levels):
            needed = beams.needed(self.trie, depth)
            logits, cache = self.generator.next_code(cache, beams.parents, beams.codes, needed)
            rows.append(beams.nodes.shape[1] if needed is None else needed.sum(1).tolist())
            children = self.trie.children_of(depth, beams.nodes)
            if restriction:
                children = restriction(depth, beams.nodes, children)
            log_probs = allowed_log_softmax(logits, children)
            beams = draw.extend(depth, beams, children, log_probs, tempered(log_probs, self.temperature))
            kept.append(beams.kept())
            peaks[depth + 1] = log_probs.flatten(1).amax(1, keepdim=True)  # NaN if any of them is
        refuse_nan(peaks, first)
        rewards = None
        if self.reward is not None:
            rewards = self.reward.score(self.reward.start(states), self.trie.levels, beams.nodes)
        best, scores = beams.select(blend(beams.log_probs, rewards, self.weight, 1.0), k)
        refuse_nan({self.trie.levels: scores}, first)
        judged = (beams.log_probs > -torch.inf).sum(1).tolist()
        cost = self.cost(users.lengths.clamp_max(self.generator.history).tolist(), rows, judged)
        return Ranking(self.trie.item_of(best.kept()), scores, cost, kept)

    @property
    def users_at_once(self) -> int:
        """Users whose draws take at most `MAX_BYTES`, by the sizes of the largest tensors; at least 1."""
        model = self.generator
        most, rows = model.history * model.row_bytes, 1
        for fan_out in self.trie.fan_out:
            most = max(most, rows * (model.row_bytes + fan_out * CHILD_BYTES))
            rows = min(self.samples, rows * fan_out)
        return max(1, MAX_BYTES // max(most, rows * self.reward.path_bytes if self.reward else 0))

    def cost(self, history: list[int], rows: list[int | list[int]], judged: list[int]) -> Cost:
        """Closed-formula cost of some users, without seconds.

        Args:
            history: Items that the generator reads, of each user.
            rows: Prefixes decoded at each level, for all users alike or of each.
            judged: Distinct items drawn for each user.
        """
        model, users = self.generator.flops, len(history)
        flops = model.encode(history) + model.start(history)
        flops += sum(model.next_code(history, decoded, depth) for depth, decoded in enumerate(rows))
        tokens = sum(decoded * users if isinstance(decoded, int) else sum(decoded) for decoded in rows)
        if self.reward is None:
            return Cost(users, flops, tokens)
        flops += self.reward.flops.start(history) + self.reward.flops.score(history, judged)
        return Cost(users, flops, tokens, sum(judged))
