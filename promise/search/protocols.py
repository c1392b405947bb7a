"""Interfaces of search: batches and networks that go in, and `Ranker`, which everything that ranks implements."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Protocol

from numpy.typing import ArrayLike
from torch import Tensor

from promise.search.cost import Cost, GeneratorCost, RewardCost

#: Item indices; -1 names none.
Items = ArrayLike | Tensor


class Batch(Protocol):
    """A batch of users: the fields of `promise.data.batch.Batch` that a ranker reads."""

    @property
    def history(self) -> Tensor:
        """(B, H) item indices in time order, right-padded."""
        ...

    @property
    def lengths(self) -> Tensor:
        """(B,) real items of each history."""
        ...


class UserRows(NamedTuple):
    """Some rows of a batch: history (B, H) and lengths (B,)."""

    history: Tensor
    lengths: Tensor


def split(batch: Batch, size: int) -> Iterator[tuple[slice, UserRows]]:
    """Splits a batch into parts of at most `size` users, each with its rows.

    Raises:
        ValueError: If the batch is empty.
    """
    if not len(batch.history):
        raise ValueError("a batch must hold at least one user, got 0")
    for first in range(0, len(batch.history), size):
        part = slice(first, first + size)
        yield part, UserRows(batch.history[part], batch.lengths[part])


class NextCodes(Protocol):
    """A model that proposes the next code of a path, such as `promise.models.generator.Generator`."""

    @property
    def flops(self) -> GeneratorCost: ...

    @property
    def history(self) -> int:
        """The most items H that it reads, the newest ones."""
        ...

    @property
    def row_bytes(self) -> int:
        """Working memory, at most, of decoding one beam, in bytes."""
        ...

    def encode(self, history: Tensor, lengths: Tensor) -> Any:
        """User states, once per user."""
        ...

    def start(self, users: Any) -> Any:
        """A decoding cache without any code yet."""
        ...

    def next_code(
        self, cache: Any, parents: Tensor, codes: Tensor, active: Tensor | None = None, /
    ) -> tuple[Tensor, Any]:
        """Logits (B, W, K_b), and the cache for the next level.

        Where `active` (B, W) is False, neither this beam's logits nor those of its extensions matter: a model may
        leave them out (any number but NaN in their place), or ignore the mask.
        """
        ...


class PathRewards(Protocol):
    """A model that judges partial paths, such as the ones of `promise.models.reward`."""

    @property
    def flops(self) -> RewardCost: ...

    @property
    def path_bytes(self) -> int:
        """Working memory, at most, of scoring one path, in bytes."""
        ...

    def start(self, users: Any) -> Any:
        """Computes what is needed once per user.

        If it has `select_users(rows)`, the same for some rows of the batch, adaptive searches score fewer paths.
        """
        ...

    def score(self, context: Any, depth: int, nodes: Tensor) -> Tensor:
        """Rewards (B, C) of the paths that end in trie nodes (B, C) at depth 1..L."""
        ...

    def score_all(self, context: Any, depth: int) -> Tensor:
        """Rewards (B, N_depth) of every prefix of a depth."""
        ...


class Ranking(NamedTuple):
    """The answer of a ranker.

    Attributes:
        items: (B, k) item indices, best first, distinct within a row; -1 where there is none.
        scores: (B, k) float32, falling; -inf where there is no item.
        cost: What it took.
        kept: For each depth the trie nodes (B, W) that the search kept, -1 = none; empty without a trie.
        candidates: (B, C) trie nodes of the last level among which the answer was chosen, -1 = none; None = no few.
        certified: (B,) bool, whether the answer is proved to be the best of the catalogue; None = not asked.
    """

    items: Tensor
    scores: Tensor
    cost: Cost
    kept: list[Tensor]
    candidates: Tensor | None = None
    certified: Tensor | None = None


class Ranker(ABC):
    """Anything that ranks items for users, so that every number in a table comes from one evaluator.

    Items of equal score stand in the order of their numbers, which is that of their ids: neither the order of a file
    nor anybody's targets decide between them.

    Attributes:
        beam_options: Whether its options are those of a beam search, `promise.search.options.BeamOptions`.
        version: Raised when the same options find something else.
    """

    beam_options: ClassVar[bool] = False
    version: ClassVar[int] = 1

    @abstractmethod
    def rank(self, batch: Batch, k: int) -> Ranking:
        """The k best items of every user.

        Raises:
            ValueError: If a network gives NaN.
        """
