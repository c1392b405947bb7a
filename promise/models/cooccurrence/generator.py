"""CooccurrenceGenerator: any generator, with learned logits for the codes of the items that a history speaks of."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from promise.models.cooccurrence.history_bias import HistoryBias, prefix_nodes, prefix_shares
from promise.models.cooccurrence.neighbours import HistoryItems, Neighbours
from promise.models.users import newest_items


class CooccurrenceOutput(NamedTuple):
    """The wrapped generator's encoder output, and the items that their histories speak of."""

    users: Any
    history_items: HistoryItems

    @property
    def lengths(self) -> Tensor:
        """Real items of each history (B,)."""
        return self.users.lengths


class CooccurrenceCache(NamedTuple):
    """The state that a search carries from level to level.

    Attributes:
        inner: The wrapped generator's cache.
        history_items: The items that the histories speak of.
        level: Codes of the beams so far.
        below: (B, W, E), True at those of the items that lie below each beam's path.
    """

    inner: Any
    history_items: HistoryItems
    level: int
    below: Tensor


class CooccurrenceGenerator(nn.Module):
    """A generator whose logits grow where a history's items, and the neighbours of these, have a code: `HistoryBias`.

    Args:
        inner: The generator.
        codes: Semantic IDs of the items (I, L).
        tables: Neighbours of every item.
        sequences: Training sequences that the tables are counted from: flat item indices (n,) and user offsets
            (users + 1,); needed only where `encode` is told whose histories it sees.
    """

    codes: Tensor
    sequence_items: Tensor | None
    sequence_offsets: Tensor | None

    def __init__(
        self,
        *,
        inner: Any,
        codes: Tensor,
        tables: Sequence[Neighbours],
        sequences: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.inner = inner
        self.neighbours = list(tables)
        self.tables = nn.ModuleList(self.neighbours)
        self.bias = HistoryBias(inner.history, [table.window > 0 for table in tables], item_nodes=prefix_nodes(codes))
        self.register_buffer("codes", codes.long(), persistent=False)
        items, offsets = sequences or (None, None)
        self.register_buffer("sequence_items", items, persistent=False)
        self.register_buffer("sequence_offsets", offsets, persistent=False)

    @property
    def history(self) -> int:
        """Most items H of a history."""
        return self.inner.history

    @property
    def flops(self) -> Any:
        """As the generator: sums of counts are no FLOPs here."""
        return self.inner.flops

    @property
    def row_bytes(self) -> int:
        """Working memory of decoding one beam, in bytes."""
        entries = self.history * (1 + sum(table.count for table in self.neighbours))
        return self.inner.row_bytes + 4 * 3 * entries

    @torch.no_grad()
    def append_items(self, codes: Tensor, content: Tensor | None = None) -> None:
        """Let histories hold new items: see `Generator.append_items`; nothing was counted of them yet."""
        self.inner.append_items(codes, content)
        self.codes = torch.cat((self.codes, codes.to(self.codes)))
        self.bias.own.shares = prefix_shares(prefix_nodes(self.codes))
        for table in self.neighbours:
            table.grow(len(self.codes))

    def encode(self, history: Tensor, lengths: Tensor, users: Tensor | None = None) -> CooccurrenceOutput:
        """Encode histories, once per user.

        Args:
            history: (B, H) item indices, right-padded; of a longer history the newest items count.
            lengths: (B,) real items of each, >= 1.
            users: (B,) in training whose histories they are: all that these users added to the counts is left out.
                None = unknown, and what the histories themselves would have added is left out.
        """
        encoded = self.inner.encode(history, lengths, users)
        history, lengths = newest_items(history, lengths, self.history)
        ages = lengths[:, None] - 1 - torch.arange(history.shape[1], device=history.device)
        sequence = history.masked_fill(ages < 0, -1) if users is None else self.sequences_of(users)
        near = [table(history, sequence) for table in self.neighbours]
        items = torch.cat([history, *(items.flatten(1) for items, _ in near)], 1)  # (B, H, k) -> (B, H * k)
        return CooccurrenceOutput(encoded, HistoryItems(items, [similar for _, similar in near], ages))

    def sequences_of(self, users: Tensor) -> Tensor:
        """Training sequences (B, T) of users (B,), -1 in the padding."""
        if self.sequence_items is None or self.sequence_offsets is None:
            raise ValueError("leaving users out of counts needs the sequences that were counted, got none")
        first, end = self.sequence_offsets[users], self.sequence_offsets[users + 1]
        places = first[:, None] + torch.arange(int((end - first).max()), device=users.device)
        found = self.sequence_items[places.clamp_max(len(self.sequence_items) - 1)].long()
        return found.masked_fill(places >= end[:, None], -1)

    def item_codes(self, items: HistoryItems, level: int) -> Tensor:
        """Codes (B, E) of the items that histories speak of, at a level (0-based)."""
        return self.codes[items.items, level]

    def teacher_forced(self, users: CooccurrenceOutput, positions: Tensor, paths: Tensor) -> list[Tensor]:
        """Logits (B, P, K_b) per level of every code of known paths (B, P, L): see `Generator.teacher_forced`."""
        items = users.history_items
        ages = items.ages_from(positions)  # (B, P, H)
        below: Tensor | bool = True
        logits = []
        for level, plain in enumerate(self.inner.teacher_forced(users.users, positions, paths)):
            codes = self.item_codes(items, level)
            entries = self.bias(level + 1, items, ages) * below  # (B, P, E)
            logits.append(self.bias.added(level + 1, plain, items, codes, entries))
            below = below & (paths[..., level, None] == codes[:, None])
        return logits

    def start(self, users: CooccurrenceOutput) -> CooccurrenceCache:
        """A decoding cache without any code yet."""
        items = users.history_items
        return CooccurrenceCache(self.inner.start(users.users), items, 0, torch.ones_like(items.items).bool()[:, None])

    def next_code(
        self, cache: CooccurrenceCache, parents: Tensor, codes: Tensor, needed: Tensor | None = None
    ) -> tuple[Tensor, CooccurrenceCache]:
        """Logits (B, W, K_b) of the next code of every beam: see `Generator.next_code`."""
        inner, items, level, below = cache
        logits, inner = self.inner.next_code(inner, parents, codes, needed)
        if level:
            below = below.gather(1, parents[:, :, None].expand(-1, -1, below.shape[2]))
            below = below & (codes[:, :, None] == self.item_codes(items, level - 1)[:, None])
            below = below if needed is None else below & needed[:, :, None]
        entries = self.bias(level + 1, items, items.ages)[:, None] * below  # (B, W, E)
        logits = self.bias.added(level + 1, logits, items, self.item_codes(items, level), entries)
        return logits, CooccurrenceCache(inner, items, level + 1, below)
