"""One user's search level by level: what a plain and a guided beam search meet and keep, beside the target."""

from copy import copy

import polars as pl
import torch
from torch import Tensor

from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.search.beams import Step
from promise.search.guided import GuidedSearch
from promise.search.protocols import Batch, Ranking
from promise.tasks.drift import LISTED, allowed_logits
from promise.tasks.training import Targets


@torch.inference_mode()
def traced(
    user: Batch, target: int, guided: GuidedSearch, plain: GuidedSearch, generator: Generator
) -> tuple[pl.DataFrame, dict[str, list[int]]]:
    """Let both searches run for one user and look at every level.

    Args:
        user: A batch of one user.
        target: Item index.
        guided: A search whose reward model acts.
        plain: The search to compare it with.
        generator: The generator of both.

    Returns:
        The prefixes that the searches met and the target's own, sorted by `level` and trie `node`: `log_prob`
        (cumulative), `reward` (also of those that the search did not ask about), whether it is a `candidate` of the
        guided search, is kept by `plain`, by `guided`, and is the `target`'s own; and of `plain` and `guided` the items
        that it returns, best first, -1 = none.

    Raises:
        ValueError: If it is not one user, or the guided search has no reward model.
    """
    if len(user.history) != 1:
        raise ValueError(f"a trace is of one user, got {len(user.history)}")
    if guided.judge.reward is None:
        raise ValueError("a trace needs a search with a reward model, got a plain one")
    (met, found), (beams, listed) = stepped(guided, user), stepped(plain, user)
    context = guided.judge.reward.start(generator.encode(user.history, user.lengths))
    items = Targets(guided.trie)
    log_probs = true_log_probs(generator, user, torch.tensor([target]), items, guided.trie)[0]
    levels = []
    for step, beam, own, log_prob in zip(met, beams, items.nodes[target, 1:].tolist(), log_probs.tolist(), strict=True):
        known = {own: log_prob}
        for each in (beam, step):
            known |= {n: p for n, p in zip(each.nodes[0].tolist(), each.log_probs[0].tolist(), strict=True) if n >= 0}
        nodes = torch.tensor(sorted(known))
        columns = {
            "level": torch.full_like(nodes, step.depth),
            "node": nodes,
            "log_prob": torch.tensor([known[node] for node in nodes.tolist()], dtype=torch.float64),
            "reward": guided.judge.reward.score(context, step.depth, nodes[None])[0].double(),
            "candidate": torch.isin(nodes, step.nodes[0]),
            "plain": torch.isin(nodes, beam.kept[0]),
            "guided": torch.isin(nodes, step.kept[0]),
            "target": nodes == own,
        }
        levels.append(pl.DataFrame({name: values.numpy() for name, values in columns.items()}))
    return pl.concat(levels), {"plain": listed.items[0].tolist(), "guided": found.items[0].tolist()}


def stepped(search: GuidedSearch, users: Batch) -> tuple[list[Step], Ranking]:
    """The steps of a search at every level, and its answer; the search stays as it is."""
    steps: list[Step] = []
    watched = copy(search)
    watched.observer = steps.append
    return steps, watched.rank(users, LISTED)


def true_log_probs(generator: Generator, users: Batch, targets: Tensor, items: Targets, trie: Trie) -> Tensor:
    """Cumulative log-probabilities (B, L) of the prefixes of the targets (B,), over the codes that the trie allows."""
    logits = allowed_logits(generator, users, targets, items, trie)
    codes = items.codes[targets].unsqueeze(2)  # (B, L, 1)
    steps = [each.float().log_softmax(-1).gather(1, codes[:, depth])[:, 0] for depth, each in enumerate(logits)]
    return torch.stack(steps, 1).cumsum(1)


def rescued_user(record: pl.DataFrame) -> int:
    """The user who shows best what guidance does.

    Of the users whose target the guided search lists and the plain one loses: those whom it loses soonest after the
    first level, or at the first if there are no others; of these the one whose target the reward puts highest at the
    last level.

    Args:
        record: What was recorded of some users: see `DriftRecorder.result`.

    Returns:
        User index; the first of equal ones.

    Raises:
        ValueError: If guidance rescues nobody.
    """
    levels = record.filter(pl.col("depth").is_not_null()).group_by("user", maintain_order=True)
    users = levels.agg(pl.col("plain").sum(), last=pl.col("plain").last(), place=pl.col("reward_rank").last())
    users = users.join(record.filter(pl.col("depth").is_null()).select("user", listed="guided"), on="user")
    found = users.filter(pl.col("listed") & ~pl.col("last"))
    if found.is_empty():
        raise ValueError(f"of {len(users)} users guided search lists no target that the plain beam loses")
    lost_at_1 = pl.col("plain") == 0  # what is lost stays lost
    return int(found.sort(lost_at_1, "plain", "place", nulls_last=True, maintain_order=True)["user"][0])
