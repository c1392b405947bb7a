"""Users as the networks see them: histories that were checked and cut, and what the encoder says of them."""

from typing import NamedTuple

import torch
from torch import Tensor


class EncoderOutput(NamedTuple):
    """The encoder's output for a batch of users.

    Attributes:
        states: U (B, H, D).
        lengths: Real items of each history (B,).
        last: U at the last real item (B, D).
        mask: (B, 1, 1, H), True at real items; None when every history is full.
    """

    states: Tensor
    lengths: Tensor
    last: Tensor
    mask: Tensor | None

    def seen_from(self, positions: Tensor) -> "EncoderOutput":
        """Every target as a user of its own, who sees the items up to its position (B, P): B*P users."""
        states = self.states.repeat_interleave(positions.shape[1], 0)  # (B*P, H, D)
        seen = torch.arange(states.shape[1], device=states.device) <= positions.flatten()[:, None]
        last = take_rows(self.states, positions).flatten(0, 1)
        return EncoderOutput(states, positions.flatten() + 1, last, seen[:, None, None])


def check_histories(history: Tensor, lengths: Tensor, items: int) -> None:
    """Refuse right-padded histories (B, H) that would give garbage.

    Raises:
        ValueError: If one is empty, or names an item outside 0 .. items - 1.
    """
    if (lengths < 1).any():
        raise ValueError("a history holds no item")
    real = torch.arange(history.shape[1], device=history.device) < lengths[:, None]
    unknown = history[real & ((history < 0) | (history >= items))]
    if len(unknown):
        raise ValueError(f"a history names item {int(unknown[0])}, the generator knows 0 .. {items - 1}")


def newest_items(history: Tensor, lengths: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """The last `limit` items of right-padded histories (B, H), and how many they are (B,)."""
    if history.shape[1] <= limit:
        return history, lengths
    index = (lengths - limit).clamp_min(0).unsqueeze(1) + torch.arange(limit, device=history.device)
    return history.gather(1, index), lengths.clamp_max(limit)


def take_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Rows of each user: values (B, N, ...), rows (B, P) -> (B, P, ...)."""
    users = torch.arange(values.shape[0], device=values.device).unsqueeze(1)
    return values[users, rows]
