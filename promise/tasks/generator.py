"""Training of the generator alone: next-code cross-entropy, summed over levels."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.tasks.training import SearchSelectedTask, Targets, real_targets


class GeneratorTask(SearchSelectedTask):
    """Teacher-forced training of the generator; see `SearchSelectedTask` for the shared parameters.

    Args:
        softmax: `allowed` (over the codes that the trie allows after the true prefix) or `all` (over all K codes).
    """

    stage = "generator"
    with_reward = False
    generator: Generator

    def __init__(self, softmax: str, **shared: Any) -> None:
        super().__init__(**shared)
        self.softmax = softmax

    def training_step(self, batch: Batch, index: int) -> Tensor:
        users = self.generator.encode(batch.history, batch.lengths, batch.users)
        logits = next_code_logits(self.generator, users, batch, self.items)
        losses = next_code_loss(logits, batch, self.items, self.trie, self.softmax)
        return self.total_loss({"next_code_loss": losses})


def next_code_logits(generator: Generator, users: Any, batch: Batch, items: Targets) -> list[Tensor]:
    """Logits of every code of the targets' paths, each given the true codes before it.

    Args:
        generator: The generator.
        users: Its states of the batch.
        batch: Histories and targets (B, P).
        items: Items as codes.

    Returns:
        One tensor (B, P, K_b) per level.
    """
    return generator.teacher_forced(users, batch.positions, items.codes[batch.targets.clamp_min(0)])


def next_code_loss(logits: Sequence[Tensor], batch: Batch, items: Targets, trie: Trie, softmax: str) -> Tensor:
    """Cross-entropy of the true codes in nats, mean over targets.

    Deviation: the paper's is over all codes; over the allowed ones nothing is spent on learning the trie.

    Args:
        logits: (B, P, K_b) per level.
        batch: Targets (B, P).
        items: Items as codes and nodes.
        trie: The catalogue's trie.
        softmax: `allowed` or `all`.

    Returns:
        (L,), one per level.
    """
    real = real_targets(batch)
    chosen = batch.targets[real]  # (R,)
    losses = []
    for depth, level in enumerate(logits):
        rows = level[real].float()  # (B, P, K) -> (R, K)
        if softmax == "allowed":
            rows = rows.masked_fill(~trie.allowed(depth, items.nodes[chosen, depth]), float("-inf"))
        losses.append(F.cross_entropy(rows, items.codes[chosen, depth]))
    return torch.stack(losses)
