"""Training of SASRec: cross-entropy over all items or drawn ones at every position, selected by its own ranking."""

from typing import Any

from torch import Tensor

from promise.data.batch import Batch
from promise.models.full_softmax import full_softmax_loss, sampled_softmax_loss
from promise.models.sasrec import SASRec
from promise.models.users import take_rows
from promise.search.rankers.sasrec import SASRecRanker
from promise.tasks.negatives import distinct_nodes
from promise.tasks.training import RankingSelectedTask, real_targets


class SASRecTask(RankingSelectedTask):
    """Training of next-item scores; see `TrainingTask` for the other options.

    Args:
        negative_count: Items N that a batch's targets compete with, distinct and drawn evenly; null = all items.
        sparse_rows: A table of at least so many items learns only in the rows that a step uses (`LazyAdamW`), if
            negatives are drawn; null = never.
        network: The untrained network.
        seed: Seeds dropout and negatives of each step, so that a resumed training is the same training.
    """

    def __init__(
        self,
        negative_count: int | None = None,
        sparse_rows: int | None = None,
        *,
        network: SASRec,
        seed: int,
        **schedule: Any,
    ) -> None:
        items = network.items.num_embeddings
        ranker = SASRecRanker(sasrec=network, item_count=items)
        super().__init__(**schedule, ranker=ranker, seed=seed)
        self.network = network
        self.drawn = None if negative_count is None or negative_count >= items else negative_count
        self.sparse_rows = None if self.drawn is None else sparse_rows

    def training_step(self, batch: Batch, index: int) -> Tensor:
        real = real_targets(batch)
        states = take_rows(self.network.states(batch.history), batch.positions)[real].float()  # (R, D)
        items, chosen = self.network.items, batch.targets[real]
        if self.drawn is None:
            loss = full_softmax_loss(states, items.weight, chosen)
        else:
            drawn = distinct_nodes(items.num_embeddings, self.drawn, chosen.device)
            loss = sampled_softmax_loss(states, items(chosen).float(), items(drawn).float(), chosen, drawn)
        return self.total_loss({"loss": loss})
