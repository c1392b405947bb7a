"""What a search spent: FLOPs by closed formula, decoder tokens, reward paths, seconds."""

from dataclasses import dataclass


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
        return Cost(
            self.users + other.users,
            self.flops + other.flops,
            self.decoder_tokens + other.decoder_tokens,
            self.prm_paths + other.prm_paths,
            self.seconds + other.seconds,
        )

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
