"""What the reward learns from: InfoNCE of the true prefix against other valid prefixes, at every depth."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.reward import Reward
from promise.models.users import UserStates
from promise.tasks.training import SearchSelectedTask, Targets, real_targets

#: Items up to which learning against all of them is the default.
EXACT_ITEMS = 50_000


class RewardTask(SearchSelectedTask):
    """Training of the reward model on a trained, frozen generator; see `SearchSelectedTask` for the rest.

    Args:
        negatives: `sampled`; `exact` (all valid prefixes of every depth); or `exact_last` (all items at the last depth,
            which orders the answer, sampled ones above it). The last two need `dot`. null = `exact_last` for `dot` and
            a catalogue of at most `EXACT_ITEMS`, else `sampled`.
        negative_count: Sampled negatives N; null = the scorer's own (2,048 a batch for dot, 32 a target for
            cross-attention).
    """

    generator: Generator
    reward: Reward

    def __init__(
        self,
        negatives: str | None,
        negative_count: int | None,
        learning_rate: float,
        weight_decay: float,
        warmup_steps: int,
        epochs: int,
        patience: int,
        average: float | None,
        **run_time: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay, warmup_steps, epochs, patience, average, **run_time)
        self.negative_counts = resolved_counts(self.reward, negatives, negative_count, self.trie)
        self.generator.requires_grad_(False).eval()  # Lightning's fit doesn't switch modes at its start

    def train(self, mode: bool = True) -> "RewardTask":
        """Switch the reward's mode; the frozen generator never drops anything."""
        super().train(mode)
        self.generator.eval()
        return self

    def training_step(self, batch: Batch, index: int) -> Tensor:
        with torch.no_grad():
            users = self.generator.encode(batch.history, batch.lengths)
        loss = path_loss(self.reward, users, batch, self.items, self.trie, self.negative_counts)
        self.log("train/loss", loss, prog_bar=True)
        return loss


def resolved_counts(reward: Reward, negatives: str | None, negative_count: int | None, trie: Trie) -> list[int | None]:
    """Negatives at each depth; None = all valid prefixes.

    Raises:
        ValueError: On unknown `negatives`, a count below 1, or exact ones with a scorer that can't share negatives.
    """
    if negatives not in (None, "sampled", "exact", "exact_last"):
        raise ValueError(f"training.negatives must be sampled, exact or exact_last, got {negatives}")
    if negative_count is not None and (not isinstance(negative_count, int) or negative_count < 1):
        raise ValueError(f"training.negative_count must be an integer >= 1 or null, got {negative_count}")
    if negatives is None:
        negatives = "exact_last" if reward.shares_negatives and trie.nodes[-1] <= EXACT_ITEMS else "sampled"
    if negatives != "sampled" and not reward.shares_negatives:
        raise ValueError(f"training.negatives={negatives} needs reward=dot, got reward=cross_attention")
    above = None if negatives == "exact" else negative_count or reward.default_negatives
    return [*[above] * (trie.levels - 1), above if negatives == "sampled" else None]


def path_loss(
    reward: Reward, users: UserStates, batch: Batch, items: Targets, trie: Trie, counts: Sequence[int | None]
) -> Tensor:
    """InfoNCE in nats, summed over depths, mean over targets (METHOD: -log(e^pos / (e^pos + Σ e^neg))).

    Args:
        reward: The reward model.
        users: User states of the batch.
        batch: Histories and targets (B, P).
        items: Items as nodes.
        trie: The catalogue's trie.
        counts: Negatives N at each depth; None = all valid prefixes.

    Returns:
        A scalar.
    """
    real = real_targets(batch)
    targets = batch.targets.clamp_min(0)
    loss = users.states.new_zeros(())
    for depth, count in enumerate(counts, start=1):
        positives = items.nodes[targets, depth]  # (B, P)
        size = trie.nodes[depth]
        if size == 1:
            continue  # a single prefix is always the true one
        if not reward.shares_negatives:
            negatives, absent = own_negatives(positives, size, int(count or size))
        elif count is None or count >= size:
            negatives, absent = torch.arange(size, device=targets.device), None
        else:
            negatives = distinct_nodes(size, count, targets.device)
            absent = negatives == positives.unsqueeze(-1)
        positive, negative = reward.contrast(users, batch.positions, depth, positives, negatives)
        positive, negative = positive[real].float(), negative[real].float()  # (R,), (R, N)
        if absent is None:  # the positive is among all prefixes
            total = negative.logsumexp(-1)
        else:
            others = negative.masked_fill(absent[real], float("-inf")).logsumexp(-1)
            total = torch.logaddexp(positive, others)
        loss = loss + (total - positive).mean()
    return loss


def distinct_nodes(size: int, count: int, device: torch.device) -> Tensor:
    """`count` <= `size` distinct nodes of 0..size-1, uniformly: (count,)."""
    if size <= max(1 << 20, 4 * count):
        return torch.randperm(size, device=device)[:count]
    drawn = torch.randint(size, (2 * count,), device=device).unique()  # twice as many: enough are left
    return drawn[torch.randperm(len(drawn), device=device)[:count]]


def own_negatives(positives: Tensor, size: int, count: int) -> tuple[Tensor, Tensor]:
    """Distinct negatives of each target's own, uniform over the other nodes.

    Args:
        positives: (B, P) nodes.
        size: Valid prefixes of the depth, >= 2.
        count: Negatives N wanted.

    Returns:
        Nodes (B, P, N) without the positive, and (B, P, N) True where one repeats another and must not count.
    """
    if size - 1 <= count:
        drawn = torch.arange(size - 1, device=positives.device).expand(*positives.shape, -1)
        absent = torch.zeros_like(drawn, dtype=torch.bool)
    else:
        drawn = torch.randint(size - 1, (*positives.shape, count), device=positives.device).sort(-1).values
        absent = torch.zeros_like(drawn, dtype=torch.bool)
        absent[..., 1:] = drawn[..., 1:] == drawn[..., :-1]
    return drawn + (drawn >= positives.unsqueeze(-1)), absent
