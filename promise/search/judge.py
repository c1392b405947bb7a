"""Judge: asks the reward model about drafts, at the levels where its answer changes something."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from promise.search.adaptive import Adaptive
from promise.search.beams import Beams
from promise.search.options import Level
from promise.search.protocols import Batch, PathRewards
from promise.search.scoring import rewards_of


@dataclass(frozen=True)
class Judge:
    """A reward model and when to ask it.

    Attributes:
        reward: The reward model; None = none is asked.
        levels: What the search does at each level.
        adaptive: Gives users candidates of their own number; None = all get C.
    """

    reward: PathRewards | None
    levels: Sequence[Level]
    adaptive: Adaptive | None = None

    @property
    def depths(self) -> set[int]:
        """Depths at which the reward is asked: where it cuts something, and the last, where it orders the answer."""
        last = len(self.levels)
        asked = enumerate(self.levels, start=1)
        return {depth for depth, level in asked if self.reward and level.weight and (level.guided or depth == last)}

    @property
    def calibrating(self) -> bool:
        return self.adaptive is not None and self.adaptive.seen is not None

    def start(self, states: Any) -> Any:
        """Lets the reward compute what it needs once per user; None if it is never asked."""
        return self.reward.start(states) if self.reward and self.depths else None

    def drafts(self, depth: int) -> int:
        """Drafts to draw at a level: C, or with adaptive candidates the most that a user may get."""
        if self.adaptive and depth in self.adaptive.levels:
            return self.adaptive.drafts(depth)
        return self.levels[depth - 1].candidates

    def score(self, context: Any, depth: int, drafts: Beams) -> tuple[Beams, Tensor | None, Tensor]:
        """Rewards (B, C) of the drafts of a level, None where the reward isn't asked, and (B,) the paths scored.

        With adaptive candidates, drafts beyond a user's own number are gone from those returned.
        """
        if self.reward is None or depth not in self.depths:
            return drafts, None, torch.zeros_like(drafts.nodes[:, 0])
        if self.adaptive and depth in self.adaptive.levels:
            return self.adaptive.judge(self.reward, context, depth, drafts)
        return drafts, rewards_of(self.reward, context, depth, drafts.nodes), drafts.existing()

    def calibrate(self, rank: Callable[[Batch], object], batches: Iterable[Batch], most: Sequence[int]) -> None:
        """As `Adaptive.calibrate`.

        Raises:
            ValueError: If candidates are not adaptive, or there is no user.
        """
        if self.adaptive is None:
            raise ValueError("search.adaptive=none has nothing to calibrate")
        self.adaptive.calibrate(rank, batches, most)
