"""PackedBeams: which beams of a batch a decoder is run for, packed one after the other."""

from typing import NamedTuple

import torch
from torch import Tensor


class PackedBeams(NamedTuple):
    """N rows out of the W beams of each of B users, in order.

    Attributes:
        users: Number of users B.
        width: Number of beams W.
        most: Largest number R of rows of a user.
        beams: (N,) place of each row among the flat (B * W) beams; None = every beam is a row.
        places: (N,) place of each row when users are padded to R rows, in flat (B * R); None = nothing is padded.
    """

    users: int
    width: int
    most: int
    beams: Tensor | None = None
    places: Tensor | None = None

    @classmethod
    def of(cls, needed: Tensor | None, users: int, width: int) -> "PackedBeams":
        """The beams that are marked in (B, W); None = all of them, without a question to the device."""
        if needed is None or bool(needed.all()):
            return cls(users, width, width)
        beams = needed.flatten().nonzero().squeeze(1)
        nth = needed.cumsum(1)  # 1 at a user's first row
        most = int(nth[:, -1].max())
        return cls(users, width, most, beams, beams // width * most + nth.flatten()[beams] - 1)

    def take(self, values: Tensor) -> Tensor:
        """Entries of the rows: (B, W) -> (N,)."""
        return values.flatten() if self.beams is None else values.flatten()[self.beams]

    def by_user(self, x: Tensor) -> Tensor:
        """PackedBeams (N, D) -> (B, R, D), zeros where a user has fewer than R."""
        if self.places is None:
            return x.unflatten(0, (self.users, self.most))
        padded = x.new_zeros(self.users * self.most, x.shape[1])
        return padded.index_copy_(0, self.places, x).unflatten(0, (self.users, self.most))

    def flat(self, x: Tensor) -> Tensor:
        """The inverse of `by_user`: (B, R, D) -> (N, D)."""
        return x.flatten(0, 1) if self.places is None else x.flatten(0, 1)[self.places]

    def by_beam(self, x: Tensor) -> Tensor:
        """PackedBeams (N, K) -> (B, W, K), zeros at beams that are no rows."""
        if self.beams is None:
            return x.unflatten(0, (self.users, self.width))
        padded = x.new_zeros(self.users * self.width, x.shape[1])
        return padded.index_copy_(0, self.beams, x).unflatten(0, (self.users, self.width))

    def numbers(self, device: torch.device) -> Tensor:
        """(B, W) number 0..N-1 of each beam's row; 0 at beams that are no rows."""
        if self.beams is None:
            return torch.arange(self.users * self.width, device=device).unflatten(0, (self.users, self.width))
        numbers = torch.zeros(self.users * self.width, dtype=torch.int64, device=device)
        numbers[self.beams] = torch.arange(len(self.beams), device=device)
        return numbers.unflatten(0, (self.users, self.width))
