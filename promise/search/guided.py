"""Beam search over semantic IDs that a process reward model guides; plain beam search and ORM are its presets."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from promise.ids.trie import Trie
from promise.models.flops import of_each
from promise.search.adaptive import Adaptive, score_within, within
from promise.search.beams import Beams, allowed_log_softmax
from promise.search.cost import Cost
from promise.search.dials import PerLevel, check_dials, plan
from promise.search.parts import rank_in_parts
from promise.search.protocols import Items, NextCodes, PathRewards, Ranking, Users
from promise.search.restriction import Restriction, Restrictions
from promise.search.scoring import ShuffledRewards, blend, refuse_nan

#: Working memory of one child of a beam (log-probabilities, codes, nodes, masks and their copies).
CHILD_BYTES = 64


class Step(NamedTuple):
    """What a search met at one level, of the users of one part of a batch.

    Attributes:
        depth: 1..L.
        nodes: (B, C) trie nodes of the candidates, -1 = none.
        log_probs: (B, C) their cumulative log-probabilities; -inf where there is none.
        rewards: (B, C) their rewards, of any value where there is none; None where the reward was not asked.
        kept: (B, W) trie nodes of the beams that went on, -1 = none.
    """

    depth: int
    nodes: Tensor
    log_probs: Tensor
    rewards: Tensor | None
    kept: Tensor


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
        adaptive: `none`, or give users whose level is uncertain more candidates than others, C on average: by the
            `entropy` of the drafts or the `margin` of the likelihood between the W-th and the C-th; see `Adaptive`.
            `calibrate` must be called first.
        adaptive_cap: The most candidates of one user over C; >= 1.
        max_bytes: Working memory beyond networks and tables; a batch that would take more is searched in parts.
        generator: Proposes next codes.
        reward: Judges paths; may be None when every weight is 0.
        trie: The catalogue's trie.
        remove_seen: Never return an item of the user's history.
        allow: The only items (n,) that may be returned; None = all.
        deny: Items (n,) that may not be returned; None = none.
        seed: Of the shuffled control.
        observer: Called with every level that is searched, part by part of a batch, but not by `calibrate`.

    Raises:
        ValueError: If a dial is out of range, or a weight needs a reward model that is not there.
    """

    #: Its options are those of a beam search: see `promise.search.dials`.
    beam_options = True
    #: Raised when the same options find something else.
    version = 2

    def __init__(
        self,
        width: int | Sequence[int],
        expansion: PerLevel,
        candidates: int | Sequence[int] | None,
        weight: PerLevel,
        temperature: float,
        rerank: bool,
        control: str,
        adaptive: str = "none",
        adaptive_cap: float = 4.0,
        max_bytes: int = 2**30,
        *,
        generator: NextCodes,
        reward: PathRewards | None,
        trie: Trie,
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
        seed: int = 0,
        observer: Callable[[Step], None] | None = None,
    ) -> None:
        dials = {
            "width": width,
            "expansion": expansion,
            "candidates": candidates,
            "weight": weight,
            "temperature": temperature,
            "rerank": rerank,
            "control": control,
            "adaptive": adaptive,
            "adaptive_cap": adaptive_cap,
            "max_bytes": max_bytes,
        }
        check_dials(dials)
        self.levels = plan(dials, trie.nodes)
        self.temperature = temperature
        if any(level.weight for level in self.levels) and reward is None:
            raise ValueError(f"search.weight={weight} needs a reward model, got a generator alone")
        self.generator = generator
        self.reward = ShuffledRewards(reward, trie, seed) if reward and control == "shuffled" else reward
        self.trie = trie
        self.max_bytes = max_bytes
        self.adaptive = None if adaptive == "none" else Adaptive(adaptive, adaptive_cap)
        self.calibrating: dict[int, list[tuple[int, Tensor]]] | None = None
        self.restrictions = Restrictions(trie, remove_seen=remove_seen, allow=allow, deny=deny)
        self.observer = observer

    @torch.inference_mode()
    def rank(self, batch: Users, k: int, allow: Items | None = None, deny: Items | None = None) -> Ranking:
        """The k best items of every user; at most the last level's width of them.

        Args:
            batch: The users.
            k: Items wanted.
            allow: In this call the only items that may be returned: (n,) for all users, or (B, n) for each, -1 = none.
            deny: Items that may not be returned, likewise.

        Raises:
            ValueError: If the networks give NaN, or a list names no item of the catalogue.
        """
        return rank_in_parts(partial(self.search, k), batch, self.users_at_once, self.restrictions, allow, deny)

    def search(self, k: int, users: Users, restriction: Restriction | None, first: int) -> Ranking:
        """The algorithm, for as many users as memory allows; the cost is without seconds.

        Args:
            k: Items wanted.
            users: Some users of a batch.
            restriction: What they may be given; None = everything.
            first: Row of the batch at which they begin.
        """
        states = self.generator.encode(users.history, users.lengths)
        cache = self.generator.start(states)
        context = self.reward.start(states) if self.reward and self.judged else None
        beams = Beams.root(len(users.history), users.history.device)
        kept, cuts, rows, paths = [], {}, [], []
        for depth, level in enumerate(self.levels, start=1):
            needed = beams.needed(self.trie, depth - 1)
            logits, cache = self.generator.next_code(cache, beams.parents, beams.codes, needed)
            children = self.trie.children_of(depth - 1, beams.nodes)
            if restriction:
                children = restriction(depth - 1, beams.nodes, children)
            drafts = beams.extend(children, allowed_log_softmax(logits, children), self.drafts(depth))
            rows.append(beams.nodes.shape[1] if needed is None else needed.sum(1).tolist())
            drafts, rewards, count = self.judge(context, depth, drafts)
            paths.append(count)
            scores = blend(drafts.log_probs, rewards, level.weight, self.temperature)
            beams, scores = drafts.select(scores, level.width)
            kept.append(beams.kept())
            cuts[depth] = scores
            if self.observer is not None and self.calibrating is None:
                self.observer(Step(depth, drafts.kept(), drafts.log_probs, rewards, kept[-1]))
        refuse_nan(cuts, first)
        history = users.lengths.clamp_max(self.generator.history).tolist()
        return Ranking(self.trie.item_of(kept[-1][:, :k]), scores[:, :k], self.cost(history, rows, paths), kept)

    def judge(self, context: Any, depth: int, drafts: Beams) -> tuple[Beams, Tensor | None, int | list[int]]:
        """Rewards (B, C) of the drafts of a level, None where the reward isn't asked, and how many paths it scored.

        With adaptive candidates, drafts beyond a user's own number are gone from what is returned.
        """
        if self.reward is None or depth not in self.judged:
            return drafts, None, 0
        if self.adaptive is None or depth not in self.adapted:
            return drafts, self.reward.score(context, depth, drafts.nodes), drafts.nodes.shape[1]
        level = self.levels[depth - 1]
        uncertainty = self.adaptive.uncertainty(level, drafts.log_probs)
        if self.calibrating is None:
            budgets = self.adaptive.budgets(depth, uncertainty)
        else:
            self.calibrating.setdefault(depth, []).append((drafts.nodes.shape[1], uncertainty))
            budgets = torch.full_like(uncertainty, level.candidates).long()
        rewards, paths = score_within(self.reward, context, depth, drafts.nodes, budgets)
        return drafts._replace(log_probs=within(drafts.log_probs, budgets)), rewards, paths

    def calibrate(self, batches: Iterable[Users]) -> None:
        """Learn from other users how uncertain levels are, so that adaptive candidates meet their average.

        Args:
            batches: Users to calibrate on, such as validation users; nothing is done with their targets.

        Raises:
            ValueError: If candidates are not adaptive, or there is no user.
        """
        if self.adaptive is None:
            raise ValueError("search.adaptive=none has nothing to calibrate")
        self.calibrating = {}
        try:
            for batch in batches:
                self.rank(batch, 1)
            if self.adapted and not self.calibrating:
                raise ValueError("a calibration needs at least one user, got none")
            for depth, seen in self.calibrating.items():
                most = max(drafts for drafts, _ in seen)
                self.adaptive.calibrate(depth, self.levels[depth - 1], most, torch.cat([u for _, u in seen]))
        finally:
            self.calibrating = None

    def drafts(self, depth: int) -> int:
        """Drafts that are drawn at a level: C, or with adaptive candidates the most that a user may get."""
        level = self.levels[depth - 1]
        return self.adaptive.most(level) if self.adaptive and depth in self.adapted else level.candidates

    @property
    def users_at_once(self) -> int:
        """Users whose search takes at most `max_bytes`, by the sizes of its largest tensors; at least 1."""
        model, levels = self.generator, self.levels
        most = model.history * model.row_bytes
        width = 1
        for depth, (level, fan_out) in enumerate(zip(levels, self.trie.fan_out, strict=True), start=1):
            count = min(self.drafts(depth), width * fan_out)
            paths = count * (self.reward.path_bytes if self.reward else 0)
            most = max(most, width * (model.row_bytes + fan_out * CHILD_BYTES) + count * CHILD_BYTES + paths)
            width = min(level.width, count)
        return max(1, self.max_bytes // most)

    @property
    def judged(self) -> set[int]:
        """Depths at which the reward is asked: where it cuts something, and the last, where it orders the answer."""
        last = len(self.levels)
        return {
            depth
            for depth, level in enumerate(self.levels, start=1)
            if level.weight and (level.candidates > level.width or depth == last)
        }

    @property
    def adapted(self) -> set[int]:
        """Depths at which users get candidates of their own number: where the reward cuts."""
        if self.adaptive is None:
            return set()
        return {depth for depth in self.judged if self.levels[depth - 1].candidates > self.levels[depth - 1].width}

    def cost(
        self,
        history: list[int],
        rows: Sequence[int | list[int]] | None = None,
        paths: Sequence[int | list[int]] | None = None,
    ) -> Cost:
        """Closed-formula cost of some users, without seconds.

        Args:
            history: Items that the generator reads, of each user.
            rows: Beams decoded at each level, for all users alike or of each; None = all.
            paths: Paths judged at each level, likewise; None = all candidates.
        """
        model, reward, users = self.generator.flops, self.reward, len(history)
        flops = model.encode(history) + model.start(history)
        if reward and self.judged:
            flops += reward.flops.start(history)
        tokens = judged = 0
        width = 1
        for depth, level in enumerate(self.levels, start=1):
            decoded = of_each(rows[depth - 1] if rows else width, history)
            flops += model.next_code(history, decoded, depth - 1)
            tokens += sum(decoded)
            count = min(level.candidates, width * self.trie.fan_out[depth - 1])
            if reward and depth in self.judged:
                scored = of_each(paths[depth - 1] if paths else count, history)
                flops += reward.flops.score(history, scored)
                judged += sum(scored)
            width = min(level.width, count)
        return Cost(users, flops, tokens, judged)
