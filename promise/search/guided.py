"""Beam search over semantic IDs that a process reward model guides; plain beam search and ORM are its presets."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass

from promise.search.adaptive import Adaptive
from promise.search.beams import Beams, Step, allowed_log_softmax
from promise.search.cost import Cost, cost_of
from promise.search.filters.restriction import Restriction
from promise.search.judge import Judge
from promise.search.options import BeamOptions, bounds, plan
from promise.search.parts import CHILD_BYTES, TreeRanker, users_at_once
from promise.search.protocols import Batch, Ranking, UserRows
from promise.search.scoring import ShuffledRewards, blend, next_logits, refuse_nan


@dataclass(eq=False)
class GuidedSearch(BeamOptions, TreeRanker):
    """The paper's Algorithm 1, always constrained to real items.

    At each level the C likeliest extensions of all beams are drafted, the reward model scores them in one pass, and
    the W best by `(1 - weight) log p + weight r / temperature` go on, carrying their log-probability.

    Args:
        width: Beams W kept at a level; see `BeamOptions` for all options, `TreeRanker` for networks, `ItemLists` for
            the item numbers of `allow` and `deny`.
        seed: Of the shuffled rewards.
        observer: Called with every level that is searched, part by part of a batch, but not by `calibrate`.

    Raises:
        ValueError: As `TreeRanker`.
    """

    _: KW_ONLY
    seed: int = 0
    observer: Callable[[Step], None] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.levels = plan(vars(self), self.trie.nodes)
        reward = self.reward
        if reward is not None and self.shuffle_rewards:
            reward = ShuffledRewards(reward, self.trie, self.seed)
        adaptive = None if self.adaptive == "none" else Adaptive(self.adaptive, self.adaptive_cap, self.levels)
        self.judge = Judge(reward, self.levels, adaptive)

    def search(self, k: int, users: UserRows, restriction: Restriction, first: int) -> Ranking:
        """The algorithm; at most the items of the last level's beams: see `PartRanker.search`."""
        steps = self.steps(users, restriction)
        refuse_nan({step.depth: step.scores for step in steps}, {step.depth: step.log_probs for step in steps}, first)
        history = users.lengths.clamp_max(self.generator.history).tolist()
        cost = self.cost(history, [step.decoded for step in steps], [step.judged.tolist() for step in steps])
        last, kept = steps[-1], [step.kept for step in steps]
        items, scores = restriction.items(last.kept, last.scores, k)
        return Ranking(items, scores, cost, kept, candidates=last.nodes)

    def steps(self, users: UserRows, restriction: Restriction) -> list[Step]:
        """Every level of the search of some users."""
        states = self.generator.encode(users.history, users.lengths)
        cache, context = self.generator.start(states), self.judge.start(states)
        beams = Beams.root(users.history.shape[0], users.history.device)
        steps: list[Step] = []
        for depth, level in enumerate(self.levels, start=1):
            active = beams.active(self.trie, depth - 1)
            logits, cache = next_logits(self.generator, cache, beams.parents, beams.codes, active)
            decoded = beams.nodes.shape[1] if active is None else active.sum(1).tolist()
            children = restriction.children(depth - 1, beams.nodes)
            log_probs = allowed_log_softmax(logits, children, self.trie.level_sizes[depth - 1])
            drafts = beams.extend(children, log_probs, self.judge.drafts(depth))
            drafts, rewards, judged = self.judge.score(context, depth, drafts)
            scores = blend(drafts.log_probs, rewards, level.weight, self.temperature, self.fusion)
            last = depth == len(self.levels)
            order = self.trie.item_of(drafts.nodes) if last else drafts.nodes if self.fusion else None  # decides ties
            beams, scores = drafts.select(scores, level.width, order)
            steps.append(Step(depth, drafts.kept(), drafts.log_probs, rewards, beams.kept(), scores, decoded, judged))
            if self.observer and not self.judge.calibrating:
                self.observer(steps[-1])
        return steps

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Learns from users, such as validation users, how uncertain levels are: adaptive candidates need it.

        Raises:
            ValueError: If candidates are not adaptive, or there is no user.
        """
        self.judge.calibrate(lambda batch: self.rank(batch, 1), batches, [most for *_, most in self.bounds])

    @property
    def bounds(self) -> list[tuple[int, int, int]]:
        """Of each level the most paths to decode, the most children of one, and the most drafts."""
        drafts = [self.judge.drafts(depth) for depth in range(1, self.trie.levels + 1)]
        return bounds(self.levels, self.trie.fan_out, drafts)

    @property
    def users_at_once(self) -> int:
        """Users whose search takes at most `max_bytes`; at least 1."""
        path_bytes = self.judge.reward.path_bytes if self.judge.reward else 0
        steps = [*self.bounds, (1, self.levels[-1].width * self.trie.leaf_size, 0)]
        return users_at_once(self.max_bytes, self.generator, steps, path_bytes, CHILD_BYTES)

    def cost(self, history: Sequence[int], decoded: list | None = None, judged: list | None = None) -> Cost:
        """Closed-formula cost, without seconds, of users with histories of the given lengths.

        Args:
            history: Items that the generator reads, of each user.
            decoded: Beams decoded at each level, for all users alike or of each; None = all.
            judged: Paths judged at each level, likewise; None = all candidates.
        """
        plain = bounds(self.levels, self.trie.fan_out, [level.candidates for level in self.levels])
        reward = self.judge.reward.flops if self.judge.reward and self.judge.depths else None
        decoded = [rows for rows, _, _ in plain] if decoded is None else decoded
        judged = [drafts for _, _, drafts in plain] if judged is None else judged
        return cost_of(self.generator.flops, reward, history, decoded, [judged[d - 1] for d in self.judge.depths])
