"""Interfaces of search: batches and networks that go in, and `Ranker`, which everything that ranks implements."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Set
from typing import Any, ClassVar, NamedTuple, Protocol

from numpy.typing import ArrayLike
from torch import Tensor

from promise.search.cost import Cost, GeneratorCost, RewardCost

#: Item indices, a list, a set, an array or a tensor; -1 names none.
Items = ArrayLike | Tensor | Set[int]


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


def require_members(what: str, part: object, interface: type, but: Collection[str] = ()) -> None:
    """Refuse a part from outside the package that lacks methods or properties of its interface.

    Args:
        what: Names the part, for the error.
        part: The part.
        interface: What it should be like.
        but: Names that it may lack.

    Raises:
        ValueError: Naming all that it lacks.
    """
    wanted = [name for name in vars(interface) if not name.startswith("_") and name not in but]
    if lacking := [name for name in wanted if not hasattr(part, name)]:
        raise ValueError(f"{what} lacks {', '.join(lacking)}: see {interface.__module__}.{interface.__qualname__}")


class NotANumber(ValueError):
    """A network gave NaN or +inf; its weights may have grown out of bounds."""


class NextCodes(Protocol):
    """A model that proposes the next code of a path, such as `promise.models.generator.Generator`.

    A search calls `encode` and `start` once, then `next_code` at every level b = 0 .. L - 1. At level 0 there is one
    empty beam a user: `parents` and `codes` are zeros, and the codes mean nothing yet.
    """

    @property
    def flops(self) -> GeneratorCost:
        """What its methods cost; methods that return 0 leave it out."""
        ...

    @property
    def history(self) -> int:
        """The most items H that it reads, the newest ones."""
        ...

    @property
    def row_bytes(self) -> int:
        """Working memory, at most, of decoding one beam, in bytes."""
        ...

    def encode(self, history: Tensor, lengths: Tensor) -> Any:
        """User states, once per user, of whatever form `start` of both networks takes.

        Args:
            history: (B, H) item indices in time order, right-padded, also more than the model reads.
            lengths: (B,) real items of each.
        """
        ...

    def start(self, users: Any) -> Any:
        """A decoding cache without any code yet."""
        ...

    def next_code(
        self, cache: Any, parents: Tensor, codes: Tensor, active: Tensor | None = None, /
    ) -> tuple[Tensor, Any]:
        """Logits (B, W, K_b) over the codes of the level, allowed or not, and the cache for the next level.

        Args:
            cache: What `start` or the call for the level above gave, with a row per beam of then.
            parents: (B, W) which of those beams each beam extends.
            codes: (B, W) the code that each added to it.
            active: (B, W), where False neither this beam's logits nor those of its extensions matter: a model may
                leave them out (any number but NaN in their place), or ignore the mask.
        """
        ...


class PathRewards(Protocol):
    """A model that judges partial paths, such as the ones of `promise.models.reward`.

    Rewards are numbers of any scale, the higher the better; only with 0 < `weight` < 1 are they compared with
    log-probabilities. -inf forbids a path (`fusion` ranks it last); +inf and NaN are refused. A `start` that returns an
    object with `select_users(rows)`, the same for some rows of the batch, lets adaptive searches score fewer paths.
    """

    @property
    def flops(self) -> RewardCost:
        """What its methods cost; methods that return 0 leave it out."""
        ...

    @property
    def path_bytes(self) -> int:
        """Working memory, at most, of scoring one path, in bytes."""
        ...

    def start(self, users: Any) -> Any:
        """Computes what is needed once per user, of what the generator's `encode` gave."""
        ...

    def score(self, context: Any, depth: int, nodes: Tensor) -> Tensor:
        """Rewards (B, C) of the paths that end in trie nodes (B, C) at depth 1..L."""
        ...


class CatalogueRewards(PathRewards, Protocol):
    """A reward model that also judges every path at once, for `search=exhaustive`."""

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
            NotANumber: If a network gives NaN or +inf.
            ValueError: If it gives a tensor of another shape.
        """
