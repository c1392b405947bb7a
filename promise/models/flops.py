"""FLOPs of every network by closed formula (one multiply-add = 2 FLOPs).

Counted: projections, attention products, feed-forward, output heads, path scoring. Not counted: lookups, norms,
softmax, top-k. Real history items, beams and paths only, none that fills up a batch; causal attention counts as the
full square. Every `history` argument is the number of real items of ONE user, or a list of them; the result is summed
over users.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class GeneratorFlops:
    """FLOPs of `promise.models.generator.Generator`.

    Attributes:
        dim: Model width D.
        encoder_layers: Encoder blocks.
        decoder_layers: Decoder blocks.
        level_sizes: K of each level.
        content_dim: Width E of the projected content; 0 = none.
        user_state: BOS is a projection of the last item's state.
    """

    dim: int
    encoder_layers: int
    decoder_layers: int
    level_sizes: tuple[int, ...]
    content_dim: int = 0
    user_state: bool = True

    def encode(self, history: Sequence[int]) -> int:
        """Encoder over the histories, and the projected content of their items."""
        return encoder(self.dim, self.encoder_layers, history) + 2 * sum(history) * self.content_dim * self.dim

    def start(self, history: Sequence[int]) -> int:
        """Keys and values of the user states for every decoder block (4 H D²), and BOS (2 D², if projected)."""
        d = self.dim
        return self.decoder_layers * 4 * sum(history) * d * d + self.user_state * 2 * d * d * len(history)

    def next_code(self, history: Sequence[int], rows: int | Sequence[int], level: int) -> int:
        """One decoder token in each of `rows` beams per user at `level` (0-based; it sees level + 1 codes).

        Per row and block: self-attention 8 D² + 4 (level + 1) D, cross-attention 4 D² + 4 H D, FFN 16 D²; head 2 D K.
        `rows` is one number for every user, or one for each.
        """
        d = self.dim
        counts = of_each(rows, history)
        seen = sum(count * items for count, items in zip(counts, history, strict=True))
        block = sum(counts) * (28 * d * d + 4 * (level + 1) * d) + 4 * seen * d
        return self.decoder_layers * block + sum(counts) * 2 * d * self.level_sizes[level]


@dataclass(frozen=True)
class RewardFlops:
    """FLOPs of a reward model, linear in users, items and paths.

    Attributes:
        user: Of each user, once.
        item: Of each history item, once.
        path: Of each path scored.
        path_item: Of each path scored, for each history item.
    """

    user: int = 0
    item: int = 0
    path: int = 0
    path_item: int = 0

    def start(self, history: Sequence[int]) -> int:
        """The part that is computed once per user."""
        return self.user * len(history) + self.item * sum(history)

    def score(self, history: Sequence[int], paths: int | Sequence[int]) -> int:
        """`paths` paths a user: one number for every user, or one for each."""
        counts = of_each(paths, history)
        seen = sum(count * items for count, items in zip(counts, history, strict=True))
        return self.path * sum(counts) + self.path_item * seen


@dataclass(frozen=True)
class SASRecFlops:
    """FLOPs of `promise.models.sasrec.SASRec`: width D, encoder blocks."""

    dim: int
    blocks: int

    def encode(self, history: Sequence[int]) -> int:
        """Encoder over the histories."""
        return encoder(self.dim, self.blocks, history)

    def score(self, history: Sequence[int], items: int) -> int:
        """Scores of `items` items for every user: 2 D each."""
        return len(history) * 2 * items * self.dim


def encoder(dim: int, blocks: int, history: Sequence[int]) -> int:
    """Encoder blocks over histories: per item 4 projections (8 D²) and FFN (16 D²), attention 4 H² D."""
    items, squares = sum(history), sum(h * h for h in history)
    return blocks * (24 * items * dim * dim + 4 * squares * dim)


def of_each(count: int | Sequence[int], users: Sequence[int]) -> Sequence[int]:
    """A count for each user, from one for all or as given."""
    return [count] * len(users) if isinstance(count, int) else count
