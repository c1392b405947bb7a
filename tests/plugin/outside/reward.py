"""A reward model from outside: the inner product of the last user state and a learned vector of the path."""

from typing import Any

from torch import Tensor, nn

from promise.models.reward import RewardModel


class Preference(RewardModel):
    """Nothing but a judgement: all else is the base class's.

    Args:
        scale: Factor of the rewards.
        user_dim: Width D of the user states.
        prefixes: Valid prefixes of each depth.
    """

    def __init__(self, scale: float, *, user_dim: int, prefixes: list[Tensor]) -> None:
        super().__init__(prefixes)
        self.scale, self.vectors = scale, nn.ModuleList(nn.Embedding(size, user_dim) for size in self.sizes)

    def score(self, cache: Any, depth: int, nodes: Tensor) -> Tensor:
        """Rewards (B, C)."""
        return self.scale * (self.vectors[depth - 1](nodes) @ cache.values.last.unsqueeze(-1)).squeeze(-1)
