"""Cost of a search: FLOPs by closed formula, decoder tokens, reward paths, seconds."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Protocol

from promise.models.flops import of_each


@dataclass(frozen=True)
class Cost:
    """Sums over users; costs add up over batches.

    Attributes:
        users: Users searched for.
        flops: FLOPs (one multiply-add = 2) of encoder, decoder, heads and reward.
        decoder_tokens: Codes that the decoder was run for.
        prm_paths: Paths that the reward model scored.
        seconds: Wall-clock seconds of the search.
    """

    users: int = 0
    flops: int = 0
    decoder_tokens: int = 0
    prm_paths: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def per_user(self) -> dict[str, float]:
        """The cost of one user, by the names of result rows; `seconds` stays the total.

        Raises:
            ValueError: If no user was searched for.
        """
        if not self.users:
            raise ValueError("a cost per user needs at least one user, got 0")
        return {
            "flops_per_user": self.flops / self.users,
            "decoder_tokens_per_user": self.decoder_tokens / self.users,
            "prm_paths_per_user": self.prm_paths / self.users,
            "seconds": self.seconds,
        }


class GeneratorCost(Protocol):
    """FLOPs of a generator, summed over users whose histories have the given lengths."""

    def encode(self, history: Sequence[int]) -> int:
        """Of the user states."""
        ...

    def start(self, history: Sequence[int]) -> int:
        """Of the decoding cache."""
        ...

    def next_code(self, history: Sequence[int], rows: int | Sequence[int], level: int) -> int:
        """Of decoding `rows` beams of every user, or of each, at level 0 .. L - 1."""
        ...


class RewardCost(Protocol):
    """FLOPs of a reward model, summed over users whose histories have the given lengths."""

    def start(self, history: Sequence[int]) -> int:
        """Of what is computed once per user."""
        ...

    def score(self, history: Sequence[int], paths: int | Sequence[int]) -> int:
        """Of scoring `paths` paths of every user, or of each."""
        ...


def cost_of(
    generator: GeneratorCost,
    reward: RewardCost | None,
    history: Sequence[int],
    rows: Sequence[int | list[int]],
    paths: Sequence[int | list[int]],
) -> Cost:
    """Closed-formula cost of a search over the tree of codes, without seconds.

    Args:
        generator: Encodes every user once.
        reward: None = it is not asked.
        history: Items that the generator reads, of each user.
        rows: Paths decoded at each level, for all users alike or of each; empty = nothing is decoded.
        paths: Paths scored in each pass of the reward, likewise.
    """
    flops = generator.encode(history) + (generator.start(history) if rows else 0)
    flops += sum(generator.next_code(history, of_each(decoded, history), level) for level, decoded in enumerate(rows))
    if reward is not None:
        flops += reward.start(history) + sum(reward.score(history, of_each(scored, history)) for scored in paths)
    tokens, judged = (sum(sum(of_each(count, history)) for count in counts) for counts in (rows, paths))
    return Cost(len(history), flops, tokens, judged if reward is not None else 0)
