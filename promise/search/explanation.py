"""One item's way down a beam search: what the networks say of its path, and which level keeps or loses it."""

from copy import copy
from dataclasses import replace
from typing import Any

import torch

from promise.search.beams import Step, allowed_log_softmax
from promise.search.guided import GuidedSearch
from promise.search.protocols import Batch, UserRows
from promise.search.scoring import blend, next_logits


@torch.inference_mode()
def explained(search: GuidedSearch, user: UserRows, item: int) -> list[dict[str, Any]]:
    """The levels of an item's path in the search for one user.

    Args:
        search: Any beam search; it stays as it is.
        user: One user.
        item: Number of the item.

    Returns:
        For each level, also of a path that items share: `level` 1..L; the item's `code`; its `probability` given the
        codes before, 0 where the item may not be returned; the `reward` of the path so far, None without a reward
        model; how many `candidates` there were; the path's `rank` among them, 1 = best, None where it was none; whether
        the search `kept` it; and whether a `plain` beam of the same width does.
    """
    trie, generator, reward = search.trie, search.generator, search.judge.reward
    beam = replace(search, expansion=1, candidates=None, weight=0.0, adaptive="none", rerank=False)
    states = generator.encode(user.history, user.lengths)
    cache, context = generator.start(states), reward.start(states) if reward else None
    restriction: Any = search.restrictions.of(user)
    node = code = parent = torch.zeros(1, 1, dtype=torch.int64)
    rows: list[dict[str, Any]] = []
    for step, plain, level in zip(stepped(search, user)[0], stepped(beam, user)[0], search.levels, strict=True):
        children = restriction.children(step.depth - 1, node)
        logits, cache = next_logits(generator, cache, parent, code)
        log_probs = allowed_log_softmax(logits, children, trie.level_sizes[step.depth - 1])
        node = trie.item_nodes(step.depth)[item].long().reshape(1, 1)
        code = trie.last_code(step.depth, node).long()
        scores = blend(step.log_probs, step.rewards, level.weight, search.temperature, search.fusion)
        own = (step.nodes == node) & (scores > -torch.inf)
        listed = step.depth < trie.levels or (restriction.items(node, node.float(), trie.leaf_size)[0] == item).any()
        rows.append(
            {
                "level": step.depth,
                "code": int(code),
                "probability": float(log_probs[children.nodes == node].max().exp()) if listed else 0.0,
                "reward": float(reward.score(context, step.depth, node)) if reward else None,
                "candidates": int((step.nodes >= 0).sum()),
                "rank": 1 + int((scores > scores[own]).sum()) if own.any() else None,
                "kept": bool((step.kept == node).any()),
                "plain": bool((plain.kept == node).any()),
            }
        )
    return rows


def stepped(search: GuidedSearch, user: Batch, k: int = 1) -> tuple[list[Step], list[int]]:
    """The levels of a search for one user, and the k items that it returns; the search stays as it is."""
    steps: list[Step] = []
    watched = copy(search)
    watched.observer = steps.append
    return steps, watched.rank(user, k).items[0].tolist()
