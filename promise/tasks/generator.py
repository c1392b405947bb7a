"""Training of the generator alone: next-code cross-entropy, summed over levels."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.users import EncoderOutput
from promise.tasks.training import SearchSelectedTask, Targets, following, real_targets


class GeneratorTask(SearchSelectedTask):
    """Teacher-forced training of the generator; see `SearchSelectedTask` for the shared parameters.

    Args:
        softmax: `allowed` (over the codes that the trie allows after the true prefix) or `all` (over all K codes).
    """

    stage = "generator"
    with_reward = False
    generator: Generator

    def __init__(
        self,
        softmax: str,
        learning_rate: float,
        weight_decay: float,
        warmup_steps: int,
        epochs: int,
        patience: int,
        average: float | None,
        **run_time: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay, warmup_steps, epochs, patience, average, **run_time)
        self.softmax = checked_softmax(softmax)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        users = self.generator.encode(batch.history, batch.lengths, following(batch))
        logits = next_code_logits(self.generator, users, batch, self.items)
        loss = next_code_loss(logits, batch, self.items, self.trie, self.softmax)
        self.log("train/loss", loss, prog_bar=True)
        return loss


def checked_softmax(softmax: str) -> str:
    """The softmax by its name.

    Raises:
        ValueError: On an unknown name.
    """
    if softmax not in ("allowed", "all"):
        raise ValueError(f"training.softmax must be allowed or all, got {softmax}")
    return softmax


def next_code_logits(generator: Generator, users: EncoderOutput, batch: Batch, items: Targets) -> list[Tensor]:
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
    """Cross-entropy of the true codes in nats, summed over levels, mean over targets.

    Args:
        logits: (B, P, K_b) per level.
        batch: Targets (B, P).
        items: Items as codes and nodes.
        trie: The catalogue's trie.
        softmax: `allowed` or `all`.

    Returns:
        A scalar.
    """
    real = real_targets(batch)
    chosen = batch.targets[real]  # (R,)
    loss = logits[0].new_zeros(())
    for depth, level in enumerate(logits):
        rows = level[real].float()  # (B, P, K) -> (R, K)
        if softmax == "allowed":
            rows = rows.masked_fill(~trie.allowed(depth, items.nodes[chosen, depth]), float("-inf"))
        loss = loss + F.cross_entropy(rows, items.codes[chosen, depth])
    return loss
