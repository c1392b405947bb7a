"""Training of SASRec: cross-entropy over the whole catalogue at every position, selected by its own ranking."""

from typing import Any

import torch
from torch import Tensor

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.models.full_softmax import full_softmax_loss
from promise.models.sasrec import SASRec
from promise.models.users import take_rows
from promise.search.rankers.sasrec import SASRecRanker
from promise.tasks.training import SearchSelectedTask, real_targets


class SASRecTask(SearchSelectedTask):
    """Full-softmax training of next-item scores; see `SearchSelectedTask` for the dials.

    Args:
        network: The untrained network.
        seed: Seeds dropout of each epoch, so that a resumed training is the same training.
    """

    generator: SASRec

    def __init__(
        self,
        learning_rate: float,
        weight_decay: float,
        warmup_steps: int,
        epochs: int,
        patience: int,
        ema_decay: float | None,
        *,
        network: SASRec,
        seed: int,
    ) -> None:
        items = network.items.num_embeddings
        # To SASRec an item's number is its ID: one level, as many codes as items.
        run_time: dict[str, Any] = {"generator": network, "reward": None, "seed": seed}
        run_time["trie"] = Trie(torch.arange(items).unsqueeze(1), (items,))
        run_time["ranker"] = SASRecRanker(sasrec=network, item_count=items)
        super().__init__(learning_rate, weight_decay, warmup_steps, epochs, patience, ema_decay, **run_time)

    @property
    def network(self) -> SASRec:
        """The network in training."""
        return self.generator

    def training_step(self, batch: Batch, index: int) -> Tensor:
        real = real_targets(batch)
        states = take_rows(self.network.states(batch.history), batch.positions)  # (B, P, D)
        loss = full_softmax_loss(states[real].float(), self.network.items.weight, batch.targets[real])
        self.log("train/loss", loss, prog_bar=True)
        return loss
