"""Joint training of generator and reward model in one stage, the paper's way."""

from typing import Any

import torch
from torch import Tensor

from promise.data.batch import Batch
from promise.models.reward import RewardModel
from promise.tasks.generator import GeneratorTask, next_code_logits, next_code_loss
from promise.tasks.negatives import Negatives
from promise.tasks.reward import path_loss


class JointTask(GeneratorTask):
    """Next-code loss plus `reward_loss_weight` times InfoNCE; see `GeneratorTask` for the rest.

    Args:
        softmax: `allowed` or `all`: see `GeneratorTask`.
        negatives: See `Negatives.of`.
        negative_count: Negatives N; null = the reward's own.
        reward_loss_weight: Factor of the reward's loss (not the search's weight λ).
        shuffle_histories: A control: the reward learns targets that are dealt anew among the histories of a batch.
        item_counts: How often each item is a training interaction (I,); needed for `popularity`.
    """

    stage = "joint"
    with_reward = True
    reward: RewardModel

    def __init__(
        self,
        softmax: str,
        negatives: str | None,
        negative_count: int | None,
        reward_loss_weight: float,
        shuffle_histories: bool = False,
        *,
        item_counts: Tensor | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(softmax, **shared)
        self.negatives = Negatives.of(self.reward, negatives, negative_count, self.trie, item_counts)
        self.reward_loss_weight = reward_loss_weight
        if shuffle_histories and self.negatives.hard:
            raise ValueError("training.shuffle_histories needs negatives that the generator has no part in, got hard")
        self.shuffle_histories = shuffle_histories

    def training_step(self, batch: Batch, index: int) -> Tensor:
        users = self.generator.encode(batch.history, batch.lengths, batch.users)
        logits = next_code_logits(self.generator, users, batch, self.items)
        codes = next_code_loss(logits, batch, self.items, self.trie, self.softmax)
        if self.shuffle_histories:
            batch = batch._replace(targets=dealt_anew(batch.targets))
        paths = path_loss(self.reward, users, batch, self.items, self.trie, self.negatives, logits)
        return self.total_loss({"next_code_loss": codes, "path_loss": paths}, {"path_loss": self.reward_loss_weight})


def dealt_anew(targets: Tensor) -> Tensor:
    """The targets of a batch (B, P) at random places among them; -1, where there is none, stays."""
    real = targets >= 0
    dealt = targets.clone()
    dealt[real] = targets[real][torch.randperm(int(real.sum()), device=targets.device)]
    return dealt
