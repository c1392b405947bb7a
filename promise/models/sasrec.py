"""SASRec: a causal transformer over item numbers that scores every item as the next one; the plain strong baseline."""

import torch
from torch import Tensor, nn

from promise.models.flops import SASRecFlops
from promise.models.generator import check_histories, newest_items
from promise.models.layers import Dropout, EncoderBlock, RMSNorm, initialise

#: Deviation of a fresh item or position vector. It has to be small: the tables are the output too, and at 1/√D the
#: first scores are noise that takes ten epochs to unlearn.
TABLE_DEVIATION = 0.02


class SASRec(nn.Module):
    """p(next item | history) over item numbers alone: no semantic IDs, no content.

    Score of an item: the product of the user's state and the item's vector, the same one that stands in the history.

    Args:
        dim: Model width D.
        blocks: Blocks of the encoder.
        heads: Attention heads; divides `dim`.
        dropout: Probability in [0, 1).
        history: Most items H of a history.
        item_count: Items of the catalogue I.

    Raises:
        ValueError: If `dim` is not a multiple of `heads`.
    """

    def __init__(self, dim: int, blocks: int, heads: int, dropout: float, history: int, *, item_count: int) -> None:
        super().__init__()
        self.history = history
        self.items = nn.Embedding(item_count, dim)
        self.positions = nn.Embedding(history, dim)
        self.drop = Dropout(dropout)
        self.encoder = nn.ModuleList(EncoderBlock(dim, heads, dropout) for _ in range(blocks))
        self.norm = RMSNorm(dim)
        self.apply(initialise)
        for table in (self.items, self.positions):
            nn.init.normal_(table.weight, std=TABLE_DEVIATION)
        self.flops = SASRecFlops(dim=dim, blocks=blocks)

    def states(self, history: Tensor) -> Tensor:
        """User states after each item of right-padded histories: (B, H) -> (B, H, D)."""
        x = self.drop(self.items(history) + self.positions.weight[: history.shape[1]])
        for block in self.encoder:
            x = block(x, None, True)  # right padding: no real item ever sees a padded one
        return self.norm(x)

    def encode(self, history: Tensor, lengths: Tensor) -> Tensor:
        """User states (B, D) after the last item; of a longer history the newest items count.

        Args:
            history: (B, H) item indices, right-padded.
            lengths: (B,) real items of each, >= 1.

        Raises:
            ValueError: If a history is empty or names an item that the network doesn't know.
        """
        check_histories(history, lengths, self.items.num_embeddings)
        history, lengths = newest_items(history, lengths, self.history)
        return self.states(history)[torch.arange(len(history), device=history.device), lengths - 1]

    def scores(self, users: Tensor) -> Tensor:
        """Scores of every item: states (B, D) -> (B, I)."""
        return users @ self.items.weight.T
