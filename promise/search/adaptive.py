"""Adaptive candidates: users whose level is uncertain are judged on more drafts, at a chosen average.

Deviation: the paper's C is the same for everyone, as it is here unless asked for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from promise.search.beams import Beams
from promise.search.options import Level
from promise.search.protocols import Batch, PathRewards
from promise.search.scoring import rewards_of

#: Uncertainties up to this are rounding errors: such a user is certain.
CERTAIN = 1e-12

#: Halvings of the interval of scales: from the inverse of `CERTAIN` down to the last bit of a small scale.
HALVINGS = 160

#: Groups of users that are scored one after the other, from small budgets to large ones.
GROUPS = 8


@dataclass(frozen=True)
class Budget:
    """Number of drafts of a level that a user is judged on: W for a certain one, C on average over a calibration.

    Attributes:
        width: W, the fewest.
        candidates: C, the average.
        most: The most, at least C.
        scale: Turns an uncertainty into a share of C - W.
    """

    width: int
    candidates: int
    most: int
    scale: float

    def of(self, uncertainty: Tensor) -> Tensor:
        """clamp(round(W + (C - W) scale u), W, most) of uncertainties (B,), as (B,) int64; W where u is NaN."""
        more = (self.candidates - self.width) * self.scale * uncertainty.double()
        more = more.where(uncertainty > CERTAIN, 0.0)
        return (self.width + more).round().clamp(self.width, self.most).long()


class Adaptive:
    """Spends an average of C candidates on users by how uncertain their level is.

    What a user gets depends on that user and on the calibration, never on the others of a batch.

    Args:
        measure: `entropy` of the likelihood over the drafts, or `margin`: how little separates the last of the W
            likeliest drafts from the last of the C likeliest.
        cap: The most candidates of one user, over the average C; >= 1.
        levels: What the search does at each level; where the reward cuts, users get candidates of their own number.

    Attributes:
        budgets: Depth 1..L -> what its users get; empty before `calibrate`.
    """

    def __init__(self, measure: str, cap: float, levels: Sequence[Level]) -> None:
        self.measure = measure
        self.cap = cap
        self.levels = {depth: level for depth, level in enumerate(levels, start=1) if level.guided}
        self.budgets: dict[int, Budget] = {}
        self.seen: dict[int, list[Tensor]] | None = None  # uncertainties, during a calibration

    def drafts(self, depth: int) -> int:
        """Drafts to draw at a level, so that the user who gets the most has them."""
        return int(self.cap * self.levels[depth].candidates)

    def uncertainty(self, level: Level, log_probs: Tensor) -> Tensor:
        """How uncertain each user is: (B,) float64, >= 0, of log-probabilities (B, M) of drafts, best first."""
        return entropy(log_probs) if self.measure == "entropy" else margin(log_probs, level.width, level.candidates)

    def judge(
        self, reward: PathRewards, context: Any, depth: int, drafts: Beams
    ) -> tuple[Beams, Tensor | None, Tensor]:
        """Lets the reward score each user's own number of drafts.

        Args:
            reward: The reward model.
            context: What it computed of the users.
            depth: 1..L.
            drafts: (B, M), best first.

        Returns:
            The drafts, gone beyond a user's own number; their rewards (B, M); (B,) how many of a user were scored: its
            own number, or all where the context can't select users.

        Raises:
            ValueError: If the level was never calibrated.
        """
        level = self.levels[depth]
        uncertainty = self.uncertainty(level, drafts.log_probs)
        if self.seen is not None:
            self.seen.setdefault(depth, []).append(uncertainty)
            count = torch.full_like(uncertainty, level.candidates).long()
        elif depth in self.budgets:
            count = self.budgets[depth].of(uncertainty)
        else:
            raise ValueError(f"adaptive candidates need a calibration of level {depth} first")
        rewards = score_within(reward, context, depth, drafts.nodes, count)
        own = drafts._replace(log_probs=within(drafts.log_probs, count))
        return own, rewards, (own if hasattr(context, "select_users") else drafts).existing()

    def calibrate(self, rank: Callable[[Batch], object], batches: Iterable[Batch], most: Sequence[int]) -> None:
        """Fixes the budgets of every level so that these users get C candidates on average.

        Args:
            rank: Lets the search run for a batch.
            batches: Users, such as validation users.
            most: The most drafts there are at each level; a catalogue may hold fewer than were asked for.

        Raises:
            ValueError: Without users, or on an uncertainty that is no number >= 0.
        """
        self.seen = {}
        try:
            for batch in batches:
                rank(batch)
            if self.levels and not self.seen:
                raise ValueError("a calibration needs at least one user, got none")
            for depth, uncertainties in self.seen.items():
                drafts = min(self.drafts(depth), most[depth - 1])
                candidates = min(self.levels[depth].candidates, drafts)
                width = min(self.levels[depth].width, candidates)
                self.budgets[depth] = solved(width, candidates, drafts, torch.cat(uncertainties))
        finally:
            self.seen = None


def entropy(log_probs: Tensor) -> Tensor:
    """Entropy in nats of the probabilities of a user's drafts, normalised to sum to 1.

    Args:
        log_probs: (B, M); -inf where there is no draft.

    Returns:
        (B,) float64 in [0, log M]; 0 where there is one draft or none.
    """
    none = (log_probs == -torch.inf).all(-1)
    return torch.special.entr(log_probs.double().softmax(-1)).sum(-1).masked_fill(none, 0.0)


def margin(log_probs: Tensor, width: int, candidates: int) -> Tensor:
    """1 / (1 + gap of log p between the W-th and the C-th draft): 1 where the likelihood can't tell them apart.

    Args:
        log_probs: (B, M), best first; -inf where there is no draft.
        width: W.
        candidates: C; where a user has fewer drafts, the last one takes the C-th one's place.

    Returns:
        (B,) float64 in (0, 1]; 0 where there are no more than W drafts, because then nothing is to choose.
    """
    count = (log_probs > -torch.inf).sum(-1, keepdim=True)
    last = count.clamp_max(candidates) - 1
    ends = torch.cat((torch.full_like(last, width - 1), last), 1).clamp(0, log_probs.shape[1] - 1)
    upper, lower = log_probs.double().gather(1, ends).unbind(1)
    return (1 / (1 + upper - lower)).masked_fill(count.squeeze(1) <= width, 0.0)


def solved(width: int, candidates: int, most: int, uncertainty: Tensor) -> Budget:
    """The budget of the largest scale at which these users get at most C candidates on average.

    The mean over them is in (C - 1, C]; less only where all uncertain users have the most already.

    Args:
        width: W.
        candidates: C in W..most.
        most: The most of one user.
        uncertainty: (n,), finite and >= 0, n >= 1.

    Raises:
        ValueError: If there is none, or one is no number >= 0.
    """
    if not len(uncertainty) or not (uncertainty.isfinite() & (uncertainty >= 0)).all():
        raise ValueError(f"uncertainties must be finite numbers >= 0 of at least one user, got {uncertainty}")
    uncertain = uncertainty[uncertainty > CERTAIN].double()
    if candidates == width or not len(uncertain):
        return Budget(width, candidates, most, 0.0)
    step = (most - width + 1) / (candidates - width) / float(uncertain.min())  # gives all of them the most
    best = Budget(width, candidates, most, 0.0)
    for _ in range(HALVINGS):
        trial = replace(best, scale=best.scale + step)
        if trial.of(uncertainty).sum() <= candidates * len(uncertainty):
            best = trial
        step /= 2
    return best


def score_within(reward: PathRewards, context: Any, depth: int, nodes: Tensor, budgets: Tensor) -> Tensor:
    """Rewards (B, M) of each user's first drafts, 0 where none was asked for; few more are asked for than the budgets.

    Users of like budgets are scored together, up to the largest of them, where the context has `select_users`.

    Args:
        reward: The reward model.
        context: What it computed of the users.
        depth: 1..L.
        nodes: Drafts (B, M), best first.
        budgets: (B,), what counts of them.
    """
    if not hasattr(context, "select_users"):
        return rewards_of(reward, context, depth, nodes)
    rewards = torch.zeros(nodes.shape, device=nodes.device)
    order = budgets.argsort()
    for users in order.tensor_split(min(GROUPS, len(nodes))):
        most = int(budgets[users[-1]])
        found = rewards_of(reward, context.select_users(users), depth, nodes[users, :most])
        rewards[users, : found.shape[1]] = found.float()
    return rewards


def within(log_probs: Tensor, budgets: Tensor) -> Tensor:
    """Drafts (B, M), best first, with -inf beyond each user's budget (B,)."""
    places = torch.arange(log_probs.shape[1], device=log_probs.device)
    return log_probs.masked_fill(places >= budgets.unsqueeze(1), -torch.inf)
