"""PMISearch: beam search by pointwise mutual information of user and path; counts take the reward model's place."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from promise.ids.trie import Trie
from promise.models.flops import RewardFlops
from promise.search.cost import Cost
from promise.search.guided import GuidedSearch
from promise.search.options import PerLevel
from promise.search.protocols import Items, NextCodes


class PMISearch(GuidedSearch):
    """Beam search that cuts the C likeliest extensions to W by `log p(path | user) - beta log p(path)`.

    The marginal p(path) is the share of all training interactions, smoothed, that are with items below the prefix.
    Scores are divided by 1 + beta.

    Args:
        width: Beams W kept at a level; a number or one per level.
        expansion: Candidates over width, C / W >= 1; a number or one per level.
        beta: How far frequent prefixes are held back, >= 0; 0 = plain beam search.
        smoothing: Interactions added to those of every item, > 0.
        generator: Proposes next codes.
        trie: The catalogue's trie.
        training: Training interactions: flat item indices (n,) and user offsets (users + 1,).
        remove_seen, allow, deny: What is never returned, as `ItemLists` takes it.

    Raises:
        ValueError: If an option is out of range, or a list is wrong.
    """

    beam_options: ClassVar[bool] = False  # those of a row are its own

    def __init__(
        self,
        width: int | Sequence[int],
        expansion: PerLevel,
        beta: float,
        smoothing: float,
        *,
        generator: NextCodes,
        trie: Trie,
        training: tuple[np.ndarray, np.ndarray],
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
    ) -> None:
        reward = Rarity(trie, torch.from_numpy(np.bincount(training[0], minlength=trie.items)) + smoothing)
        lists: dict[str, Any] = {"remove_seen": remove_seen, "allow": allow, "deny": deny}
        super().__init__(
            width, expansion, weight=beta / (1.0 + beta), generator=generator, reward=reward, trie=trie, **lists
        )

    def cost(self, history: Sequence[int], decoded: list | None = None, judged: list | None = None) -> Cost:
        """As that of `GuidedSearch`; looking a count up is neither FLOPs nor a path of a reward model."""
        return replace(super().cost(history, decoded, judged), prm_paths=0)


class Rarity:
    """The reward -log p(prefix), the same for every user.

    Args:
        trie: The catalogue's trie.
        counts: (I,) what every item counts, > 0.
    """

    flops = RewardFlops()  # a table costs none
    path_bytes = 8

    def __init__(self, trie: Trie, counts: Tensor) -> None:
        shares = (counts.double() / counts.sum()).to(trie.leaf_items.device)
        self.rewards = [
            -shares.new_zeros(nodes).index_add_(0, trie.item_nodes(depth), shares).log().float()
            for depth, nodes in enumerate(trie.nodes)
        ]

    def start(self, users: Any) -> None:
        """Users do not matter."""

    def score(self, context: None, depth: int, nodes: Tensor) -> Tensor:
        """Rewards (B, C) of the paths that end in trie nodes (B, C)."""
        return self.rewards[depth][nodes]
