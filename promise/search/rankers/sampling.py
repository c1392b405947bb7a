"""Draws of whole paths without replacement, by noise that depends on the seed and the user alone."""

import torch
from torch import Tensor

from promise.ids.trie import Children
from promise.search.beams import Beams

#: Increment and multipliers of splitmix64 (Steele, Lea and Flood 2014), as signed 64-bit numbers.
STEP, FIRST, SECOND = (value - 2**64 for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))

#: Places that a level may number: those of one level never meet those of the next.
PLACES = 2**48

#: The least tempered log-probability of a code whose probability is above 0: any temperature keeps it possible.
FLOOR = -1e30


def mixed(numbers: Tensor) -> Tensor:
    """The output function of splitmix64 on int64, any shape: every bit depends on every bit."""
    z = numbers.clone()
    for shift, factor in ((30, FIRST), (27, SECOND)):
        z.bitwise_xor_(shifted(z, shift)).mul_(factor)
    return z.bitwise_xor_(shifted(z, 31))


def shifted(numbers: Tensor, places: int) -> Tensor:
    """Shift to the right that fills up with zeros."""
    return numbers.bitwise_right_shift(places).bitwise_and_(2 ** (64 - places) - 1)


class Noise:
    """Uniform numbers named by place: the same for a seed, a history and a place, whoever else is in the batch.

    Args:
        seed: Any integer.
        history: (B, H) item indices, right-padded.
        lengths: (B,) real items of each history.
        limit: Only so many items, the newest, tell users apart.
    """

    def __init__(self, seed: int, history: Tensor, lengths: Tensor, limit: int) -> None:
        age = lengths[:, None] - 1 - torch.arange(history.shape[1], device=history.device)  # 0 at the last item
        read = (age >= 0) & (age < limit)
        votes = mixed(mixed((history.long() + 1) * STEP) + age * STEP).masked_fill(~read, 0)
        start = (seed + 2**63) % 2**64 - 2**63  # as a signed 64-bit number
        self.keys = mixed(mixed(torch.tensor(start, device=history.device)) + votes.sum(1))

    def uniform(self, depth: int, places: Tensor) -> Tensor:
        """Multiples of 2^-33 in (0, 1).

        Args:
            depth: Level of the draw.
            places: (B, ...) integers below `PLACES`, or (1, ...) for the same places of all users.

        Returns:
            (B, ...) float64.
        """
        keys = self.keys.view(-1, *[1] * (places.dim() - 1))
        return shifted(mixed(keys + (places + depth * PLACES) * STEP), 32).double().add_(0.5).mul_(2.0**-32)

    def gumbel(self, depth: int, places: Tensor) -> Tensor:
        """Standard Gumbel noise, as `uniform`."""
        return self.uniform(depth, places).log_().neg_().log_().neg_()


def tempered(log_probs: Tensor, temperature: float) -> Tensor:
    """Log-probabilities at a temperature: softmax(log p / temperature).

    Args:
        log_probs: (..., M); -inf where the probability is 0, also everywhere.
        temperature: > 0.

    Returns:
        (..., M) float64; -inf exactly where it was.
    """
    absent = log_probs == -torch.inf
    peak = log_probs.amax(-1, keepdim=True)  # taken off first: the best code stays finite at any temperature
    scaled = ((log_probs - peak).double() / temperature).clamp_min(FLOOR).masked_fill(absent, -torch.inf)
    return scaled.log_softmax(-1).masked_fill(absent, -torch.inf)


class Draws:
    """One call's draws without replacement, level by level: stochastic beam search (Kool, van Hoof and Welling 2019).

    Every item carries its log-probability plus Gumbel noise, and the N largest sums are the draw. A prefix carries the
    largest sum below it, so a beam of N prefixes finds them; the children's sums are drawn given that maximum (arXiv
    1903.06059).

    Args:
        samples: Paths per user N; all items are found when there are no more of them.
        noise: Names each node's random numbers.
    """

    def __init__(self, samples: int, noise: Noise) -> None:
        self.samples = samples
        self.noise = noise
        self.log_probs = torch.zeros(len(noise.keys), 1, dtype=torch.float64, device=noise.keys.device)
        self.largest = self.log_probs

    def extend(self, depth: int, beams: Beams, children: Children, log_probs: Tensor, drawn_by: Tensor) -> Beams:
        """Draw the next code of every path.

        Each child's largest sum is its own Gumbel, moved so that the children's maximum is the beam's.

        Args:
            depth: Depth of the beams, 0 .. L - 1.
            beams: Distinct prefixes (B, R).
            children: Of every beam (B, R, M).
            log_probs: (B, R, M) of each child given its beam, which the beams carry on.
            drawn_by: (B, R, M) the same at the temperature of the draws.

        Returns:
            The distinct prefixes one code longer (B, at most samples).
        """
        likely = self.log_probs.unsqueeze(-1) + drawn_by  # (B, R, M)
        own = likely + self.noise.gumbel(depth, children.nodes)
        most = own.amax(-1, keepdim=True)
        parent = self.largest.unsqueeze(-1)
        # -log(exp(-parent) - exp(-most) + exp(-own)), written so that nothing overflows
        largest = parent - torch.logaddexp(parent - own + (-torch.expm1(own - most)).log(), torch.zeros_like(own))
        largest = largest.masked_fill(likely == -torch.inf, -torch.inf).flatten(1)
        self.largest, index = largest.topk(min(self.samples, largest.shape[1]))
        self.log_probs = likely.flatten(1).gather(1, index)
        total = (beams.log_probs.unsqueeze(-1) + log_probs).flatten(1)
        return Beams.chosen(children, index, total.gather(1, index))
