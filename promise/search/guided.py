"""Beam search over semantic IDs that a process reward model guides; plain beam search and ORM are its presets."""

import time
from collections.abc import Sequence

import torch

from promise.ids.trie import Trie
from promise.search.beams import Beams, allowed_log_softmax
from promise.search.cost import Cost
from promise.search.dials import PerLevel, check_dials, plan
from promise.search.protocols import NextCodes, PathRewards, Ranking, Users
from promise.search.scoring import ShuffledRewards, blend, refuse_nan
from promise.search.seen import SeenFilter


class GuidedSearch:
    """The paper's Algorithm 1, always constrained to real items.

    At each level the C likeliest extensions of all beams are drafted, the reward model scores them in one pass, and
    the W best by `(1 - weight) log p + weight r / temperature` go on, carrying their log-probability.

    Args:
        width: Beams W kept at a level; a number or one per level.
        expansion: Candidates over width, C / W >= 1; a number or one per level.
        candidates: Candidates C; overrides `expansion` when given; a number or one per level.
        weight: Trust in the reward, λ in [0, 1]; a number or one per level.
        temperature: Divides the reward in the blend; > 0.
        rerank: Carry all candidates to the last level and let the reward cut only there (ORM).
        control: `none`, or `shuffled`: the reward judges the wrong paths.
        generator: Proposes next codes.
        reward: Judges paths; may be None when every weight is 0.
        trie: The catalogue's trie.
        remove_seen: Never return an item of the user's history.
        seed: Of the shuffled control.

    Raises:
        ValueError: If a dial is out of range, or a weight needs a reward model that is not there.
    """

    def __init__(
        self,
        width: int | Sequence[int],
        expansion: PerLevel,
        candidates: int | Sequence[int] | None,
        weight: PerLevel,
        temperature: float,
        rerank: bool,
        control: str,
        *,
        generator: NextCodes,
        reward: PathRewards | None,
        trie: Trie,
        remove_seen: bool = False,
        seed: int = 0,
    ) -> None:
        dials = {
            "width": width,
            "expansion": expansion,
            "candidates": candidates,
            "weight": weight,
            "temperature": temperature,
            "rerank": rerank,
            "control": control,
        }
        check_dials(dials)
        self.levels = plan(dials, trie.nodes)
        self.temperature = temperature
        if any(level.weight for level in self.levels) and reward is None:
            raise ValueError(f"search.weight={weight} needs a reward model, got a generator alone")
        self.generator = generator
        self.reward = ShuffledRewards(reward, trie, seed) if reward and control == "shuffled" else reward
        self.trie = trie
        self.seen = SeenFilter(trie) if remove_seen else None

    @torch.inference_mode()
    def rank(self, batch: Users, k: int) -> Ranking:
        """The k best items of every user; at most the last level's width of them.

        Raises:
            ValueError: If the networks give NaN.
        """
        began = time.perf_counter()
        users = self.generator.encode(batch.history, batch.lengths)
        cache = self.generator.start(users)
        context = self.reward.start(users) if self.reward and self.judged else None
        beams = Beams.root(len(batch.history), batch.history.device)
        kept, cuts = [], {}
        for depth, level in enumerate(self.levels, start=1):
            logits, cache = self.generator.next_code(cache, beams.parents, beams.codes)
            children = self.trie.children_of(depth - 1, beams.nodes)
            if self.seen:
                children = self.seen(depth - 1, beams.nodes, children, batch)
            drafts = beams.extend(children, allowed_log_softmax(logits, children), level.candidates)
            rewards = None
            if self.reward and depth in self.judged:
                rewards = self.reward.score(context, depth, drafts.nodes)
            scores = blend(drafts.log_probs, rewards, level.weight if rewards is not None else 0.0, self.temperature)
            beams, scores = drafts.select(scores, level.width)
            kept.append(beams.kept())
            cuts[depth] = scores
        refuse_nan(cuts)
        items = self.trie.item_of(kept[-1])
        if items.is_cuda:
            torch.cuda.synchronize()
        history = batch.lengths.clamp_max(self.generator.history).tolist()
        cost = self.cost(history, time.perf_counter() - began)
        return Ranking(items[:, :k], scores[:, :k], cost, kept)

    @property
    def judged(self) -> set[int]:
        """Depths at which the reward is asked: where it cuts something, and the last, where it orders the answer."""
        last = len(self.levels)
        return {
            depth
            for depth, level in enumerate(self.levels, start=1)
            if level.weight and (level.candidates > level.width or depth == last)
        }

    def cost(self, history: list[int], seconds: float) -> Cost:
        """Closed-formula cost of one batch of users whose histories have the given lengths."""
        model, reward, users = self.generator.flops, self.reward, len(history)
        flops = model.encode(history) + model.start(history)
        tokens = paths = 0
        rows = 1
        if reward and self.judged:
            flops += reward.flops.start(history)
        for depth, level in enumerate(self.levels, start=1):
            flops += model.next_code(history, rows, depth - 1)
            tokens += rows * users
            count = min(level.candidates, rows * self.trie.fan_out[depth - 1])
            if reward and depth in self.judged:
                flops += reward.flops.score(history, count)
                paths += count * users
            rows = min(level.width, count)
        return Cost(users, flops, tokens, paths, seconds)
