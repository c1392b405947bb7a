"""Training of the reward model: InfoNCE of the true prefix against other valid prefixes, at every depth."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.reward import RewardModel
from promise.search.scoring import shaped
from promise.tasks.generator import next_code_logits
from promise.tasks.negatives import Negatives, near_misses
from promise.tasks.training import SearchSelectedTask, Targets, real_targets


class RewardTask(SearchSelectedTask):
    """Training of the reward model on a trained, frozen generator; see `SearchSelectedTask` for the rest.

    Args:
        negatives: See `Negatives.of`.
        negative_count: Sampled negatives N; null = the reward's own `default_negatives`.
        item_counts: How often each item is a training interaction (I,); needed for `popularity`.
    """

    stage = "reward"
    generator: Generator
    reward: RewardModel

    def __init__(
        self,
        negatives: str | None,
        negative_count: int | None,
        *,
        item_counts: Tensor | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.negatives = Negatives.of(self.reward, negatives, negative_count, self.trie, item_counts)
        self.generator.requires_grad_(False).eval()  # Lightning's fit doesn't switch modes at its start

    def train(self, mode: bool = True) -> "RewardTask":
        """Switch the reward's mode; the frozen generator never drops anything."""
        super().train(mode)
        self.generator.eval()
        return self

    def training_step(self, batch: Batch, index: int) -> Tensor:
        with torch.no_grad():
            users = self.generator.encode(batch.history, batch.lengths, batch.users)
            logits = next_code_logits(self.generator, users, batch, self.items) if self.negatives.hard else None
        losses = path_loss(self.reward, users, batch, self.items, self.trie, self.negatives, logits)
        return self.total_loss({"path_loss": losses})


def path_loss(
    reward: RewardModel,
    users: Any,
    batch: Batch,
    items: Targets,
    trie: Trie,
    negatives: Negatives,
    logits: Sequence[Tensor] | None = None,
) -> Tensor:
    """InfoNCE in nats, mean over targets (METHOD: -log(e^pos / (e^pos + Σ e^neg))).

    Args:
        reward: The reward model.
        users: Output of the generator's encoder for the batch.
        batch: Histories and targets (B, P).
        items: Items as nodes.
        trie: The catalogue's trie.
        negatives: Which wrong prefixes are drawn.
        logits: The generator's of the targets' codes, (B, P, K_b) per level; needed for hard negatives.

    Returns:
        (L,), one per depth.

    Raises:
        ValueError: If a loss of the reward's own is no scalar tensor, or moves none of its weights.
    """
    real = real_targets(batch)
    targets = batch.targets.clamp_min(0)
    losses = []
    for depth in range(1, trie.levels + 1):
        positives = items.nodes[targets, depth]  # (B, P)
        if trie.nodes[depth] == 1:
            losses.append(users.states.new_zeros(()))  # a single prefix is always the true one
            continue
        near = None
        if negatives.hard:
            assert logits is not None
            near = near_misses(trie, depth, items.nodes[targets, depth - 1], logits[depth - 1])
        drawn = negatives.draw(depth, positives, trie.nodes[depth], near)
        of_targets = (users, batch.positions, depth, positives, real)
        if drawn is None:
            losses.append(reward.full_softmax_loss(*of_targets))
        else:
            losses.append(reward.sampled_softmax_loss(*of_targets, drawn))
        shaped(f"a loss of {type(reward).__name__}", losses[-1], ())
    total = torch.stack(losses)
    learns = torch.is_grad_enabled() and any(weight.requires_grad for weight in reward.parameters())
    if learns and trie.items > 1 and not total.requires_grad:
        raise ValueError(f"the losses of {type(reward).__name__} have no gradient: it would learn nothing")
    return total
