"""A reward model from outside: one learned bias per path and user direction."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """Inner product of the last user state and a learned vector of the path.

    Args:
        scale: Factor of the rewards.
        user_dim: Width D of the user states.
        prefixes: Valid prefixes of each depth.
    """

    default_negatives, shares_negatives, path_bytes, terms = 8, False, 1024, None

    def __init__(self, scale: float, *, user_dim: int, prefixes: Sequence[Tensor]) -> None:
        super().__init__()
        self.scale = scale
        self.vectors = nn.ModuleList(nn.Embedding(len(codes), user_dim) for codes in prefixes)
        self.flops = SimpleNamespace(
            start=lambda history: 0, score=lambda history, paths: 2 * user_dim * int(torch.as_tensor(paths).sum())
        )

    def start(self, users: Any) -> Any:
        """The user states as they are."""
        return users

    def score(self, users: Any, depth: int, nodes: Tensor) -> Tensor:
        """Rewards (B, C)."""
        return self.scale * (self.vectors[depth - 1](nodes) @ users.last.unsqueeze(-1)).squeeze(-1)

    def score_all(self, users: Any, depth: int) -> Tensor:
        """Rewards (B, N_depth)."""
        return self.scale * users.last @ self.vectors[depth - 1].weight.T  # type: ignore[operator,union-attr]

    def contrast(
        self, users: Any, positions: Tensor, depth: int, positives: Tensor, negatives: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, P) and (B, P, N)."""
        states = users.states.gather(1, positions[..., None].expand(-1, -1, users.states.shape[-1]))
        vectors = self.vectors[depth - 1]
        wrong = (vectors(negatives) @ states.unsqueeze(-1)).squeeze(-1)
        return self.scale * (vectors(positives) * states).sum(-1), self.scale * wrong
