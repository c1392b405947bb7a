"""One user's search level by level: what a plain and a guided beam search meet and keep, beside the target."""

from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.search.beams import Step
from promise.search.guided import GuidedSearch
from promise.search.protocols import Batch, Ranking
from promise.tasks.drift import LISTED, Drift
from promise.tasks.training import Targets


class LevelTrace(NamedTuple):
    """The prefixes of one depth that the searches of one user met, and the target's own; n distinct ones.

    Attributes:
        depth: 1..L.
        nodes: (n,) trie nodes, ascending.
        log_probs: (n,) cumulative log-probabilities.
        rewards: (n,) rewards, also of prefixes that the search did not ask about.
        candidates: (n,) bool, whether it is a candidate of the guided search.
        plain: (n,) bool, whether the plain search keeps it.
        guided: (n,) bool, whether the guided search keeps it.
        target: (n,) bool, True at the target's own.
    """

    depth: int
    nodes: NDArray[np.int64]
    log_probs: NDArray[np.float64]
    rewards: NDArray[np.float64]
    candidates: NDArray[np.bool_]
    plain: NDArray[np.bool_]
    guided: NDArray[np.bool_]
    target: NDArray[np.bool_]

    def place(self, scores: NDArray[np.float64]) -> int | None:
        """Place of the target among the candidates by some scores (n,), 1 = first; None = it is no candidate."""
        own = self.target & self.candidates
        return int((scores[self.candidates] > scores[own]).sum()) + 1 if own.any() else None


@dataclass(frozen=True)
class Trace:
    """Both searches of one user.

    Attributes:
        target: Item index.
        levels: One entry per level.
        plain: (k,) items that the plain search returns, best first, -1 = none; k = `LISTED` or the beams there are.
        guided: (k,) items that the guided search returns.
    """

    target: int
    levels: tuple[LevelTrace, ...]
    plain: NDArray[np.int64]
    guided: NDArray[np.int64]


@torch.inference_mode()
def traced(user: Batch, target: int, guided: GuidedSearch, plain: GuidedSearch, generator: Generator) -> Trace:
    """Let both searches run for one user and look at every level.

    Args:
        user: A batch of one user.
        target: Item index.
        guided: A search whose reward model acts.
        plain: The search to compare it with.
        generator: The generator of both.

    Raises:
        ValueError: If it is not one user, or the guided search has no reward model.
    """
    if len(user.history) != 1:
        raise ValueError(f"a trace is of one user, got {len(user.history)}")
    if guided.judge.reward is None:
        raise ValueError("a trace needs a search with a reward model, got a plain one")
    trie = guided.trie
    (met, found), (beams, listed) = stepped(guided, user), stepped(plain, user)
    states = generator.encode(user.history, user.lengths)
    context = guided.judge.reward.start(states)
    items = Targets(trie)
    true = items.nodes[target]  # (L+1,)
    log_probs = true_log_probs(generator, user, torch.tensor([target]), items, trie)[0]
    levels = []
    for step, beam in zip(met, beams, strict=True):
        known = {int(true[step.depth]): float(log_probs[step.depth - 1])}
        for each in (beam, step):
            known |= {n: p for n, p in zip(each.nodes[0].tolist(), each.log_probs[0].tolist(), strict=True) if n >= 0}
        nodes = torch.tensor(sorted(known))
        levels.append(
            LevelTrace(
                depth=step.depth,
                nodes=nodes.numpy(),
                log_probs=np.array([known[node] for node in nodes.tolist()]),
                rewards=guided.judge.reward.score(context, step.depth, nodes[None])[0].double().numpy(),
                candidates=torch.isin(nodes, step.nodes[0]).numpy(),
                plain=torch.isin(nodes, beam.kept[0]).numpy(),
                guided=torch.isin(nodes, step.kept[0]).numpy(),
                target=(nodes == true[step.depth]).numpy(),
            )
        )
    return Trace(target, tuple(levels), listed.items[0].numpy(), found.items[0].numpy())


def stepped(search: GuidedSearch, users: Batch) -> tuple[list[Step], Ranking]:
    """Run a copy of a search; return its levels and its answer."""
    steps: list[Step] = []
    watched = copy(search)
    watched.observer = steps.append
    return steps, watched.rank(users, LISTED)


def true_log_probs(generator: Generator, users: Batch, targets: Tensor, items: Targets, trie: Trie) -> Tensor:
    """Cumulative log-probabilities (B, L) of the prefixes of the targets (B,), over the codes that the trie allows."""
    states = generator.encode(users.history, users.lengths)
    codes = items.codes[targets]  # (B, L)
    last = (states.lengths - 1).unsqueeze(1)
    steps = []
    for depth, logits in enumerate(generator.teacher_forced(states, last, codes.unsqueeze(1))):
        allowed = trie.allowed(depth, items.nodes[targets, depth])
        known = logits[:, 0].float().masked_fill(~allowed, -torch.inf).log_softmax(-1)  # (B, K)
        steps.append(known.gather(1, codes[:, depth, None])[:, 0])
    return torch.stack(steps, 1).cumsum(1)


def rescued_user(drift: Drift) -> int:
    """The user who shows best what guidance does.

    Of the users whose target the guided search lists and the plain one loses: those whom it loses soonest after the
    first level, or at the first if there are no others; of these the one whose target the reward puts highest at the
    last level.

    Args:
        drift: What was recorded of some users.

    Returns:
        User index; the first of equal ones.

    Raises:
        ValueError: If guidance rescues nobody.
    """
    rescued = drift.listed["guided"] & ~drift.kept["plain"][:, -1]
    if not rescued.any():
        raise ValueError(f"of {len(drift.users)} users guided search lists no target that the plain beam loses")
    lost = drift.kept["plain"].sum(1)  # what is lost stays lost: 0 = at level 1
    lost[lost == 0] = drift.kept["plain"].shape[1]
    rows = np.flatnonzero(rescued & (lost == lost[rescued].min()))
    return int(drift.users[rows[np.argmin(drift.ranks["reward"][rows, -1])]])
