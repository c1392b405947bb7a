"""Training of SASRec: cross-entropy over the whole catalogue at every position, selected by its own ranking."""

from typing import Any

from torch import Tensor

from promise.data.batch import Batch
from promise.models.full_softmax import full_softmax_loss
from promise.models.sasrec import SASRec
from promise.models.users import take_rows
from promise.search.rankers.sasrec import SASRecRanker
from promise.tasks.training import RankingSelectedTask, real_targets


class SASRecTask(RankingSelectedTask):
    """Full-softmax training of next-item scores; see `TrainingTask` for the options.

    Args:
        network: The untrained network.
        seed: Seeds dropout of each step, so that a resumed training is the same training.
    """

    def __init__(self, *, network: SASRec, seed: int, **schedule: Any) -> None:
        ranker = SASRecRanker(sasrec=network, item_count=network.items.num_embeddings)
        super().__init__(**schedule, ranker=ranker, seed=seed)
        self.network = network

    def training_step(self, batch: Batch, index: int) -> Tensor:
        real = real_targets(batch)
        states = take_rows(self.network.states(batch.history), batch.positions)  # (B, P, D)
        loss = full_softmax_loss(states[real].float(), self.network.items.weight, batch.targets[real])
        return self.total_loss({"loss": loss})
