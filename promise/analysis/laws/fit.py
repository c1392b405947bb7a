"""Scaling laws: accuracy against candidates or compute, fitted on small budgets and tested on the largest.

Points are not weighted in a fit: they share their users, so most of a point's own error moves the whole curve.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promise.analysis.laws.bootstrap import LEVEL, RESAMPLES, Estimate, LawCurve, estimate, resampled
from promise.analysis.laws.forms import EXPONENTS, Law, fit_parameters, law_values

#: Fewest points that a law is fitted through; the held-out ones come on top.
FEWEST = 4

#: Fewest times the smallest fitted x that the largest must be: less is no range to tell a law from a line.
SPAN = 2.0

#: AICc by which the better law must lead to be preferred (Burnham and Anderson: below 2, both have support).
LEAD = 2.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LawFit:
    """A law with its parameters.

    Attributes:
        law: Which law.
        x: (points,) the fitted places, rising; the first is x₀.
        parameters: Estimates by name (`a`, `b`, and `c` where the law has it).
        predicted: Its value at the point of the largest x, which it never saw; the interval is that of the refits.
        observed: The mean that was measured there.
        error: Predicted minus observed, both on the same users in every resample.
        residual: Root mean square distance of the fitted points from the law, in the unit of the metric.
        aicc: Akaike's criterion, corrected for few points; None where the points are too few for it.
        failed: Share of the resamples that the law could not be fitted to; they are in no interval.
        refits: (parameters, refits) of the other resamples.
    """

    law: Law
    x: tuple[float, ...]
    parameters: dict[str, Estimate]
    predicted: Estimate
    observed: Estimate
    error: Estimate
    residual: float
    aicc: float | None
    failed: float
    refits: Floats = field(repr=False, compare=False)

    def at(self, x: ArrayLike) -> tuple[Estimate, ...]:
        """The law's values at places x (n,), each with the interval of the refits."""
        places = np.asarray(x, dtype=np.float64) / self.x[0]
        values = law_values(self.law, [each.value for each in self.parameters.values()], places)
        return tuple(map(estimate, values, law_values(self.law, self.refits, places[:, None])))


@dataclass(frozen=True)
class NoFit:
    """A law that the points can't carry, and why in one sentence; it has no numbers."""

    law: Law
    reason: str


@dataclass(frozen=True)
class Comparison:
    """All laws on one curve.

    Attributes:
        curve: The points; the one of the largest x is held out of the fits.
        fits: One result for each law, in the order of `Law`.
        preferred: The law that explains the points best; None where none does, or they can't be told apart.
        verdict: Why, in one sentence.
    """

    curve: LawCurve
    fits: tuple[LawFit | NoFit, ...]
    preferred: Law | None
    verdict: str

    @property
    def fitted(self) -> list[LawFit]:
        """The laws that could be fitted; the one to show first stands first."""
        found = [fit for fit in self.fits if isinstance(fit, LawFit)]
        return sorted(found, key=lambda fit: (fit.law != self.preferred, fit.aicc or 0.0))


def fit_all(x: ArrayLike, values: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Fit every law to a curve, over the same resamples of the users, and say which one is to be preferred.

    The point of the largest x takes no part in the fits: they are held against it.

    Args:
        x: (points,) candidates or FLOPs, in any order, > 0 and distinct.
        values: (points, users) one value per user and point, such as 1 for a hit, averaged over a user's seeds first.
        resamples: Number of resamples of the users behind the intervals, >= 1.
        seed: Seed of the resampling.

    Returns:
        The fits, each with a reason in place of numbers where there are fewer than 4 points, too short a range, no
        trend, or an exponent that the points do not determine; and the verdict.
    """
    curve = resampled(x, values, resamples, seed)
    fits = tuple(fit_law(curve, law) for law in Law)
    return Comparison(curve, fits, *prefer(fits))


def fit_law(curve: LawCurve, law: Law) -> LawFit | NoFit:
    """Fit one law to a curve without its largest x, and hold it against that."""
    count = len(curve.x) - 1
    x, places = curve.x[:count], curve.x / curve.x[0]
    if reason := unfit(curve, count, law):
        return NoFit(law, reason)
    best = fit_parameters(law, places[:count], curve.means[:count])
    found = [None if best is None else fit_parameters(law, places[:count], draw[:count], best) for draw in curve.draws]
    fits = np.array([each is not None for each in found])
    failed = 1 - float(fits.mean())
    if best is None or failed > (1 - LEVEL) / 2:
        low, high = EXPONENTS
        return NoFit(law, f"the exponent is not determined: {failed:.0%} of the resamples have none in {low}–{high:g}")
    refits = np.array([each for each in found if each is not None]).T  # (parameters, refits)
    values, predictions = law_values(law, best, places), law_values(law, refits, places[:, None])
    error = estimate(values[-1] - curve.means[-1], predictions[-1] - curve.draws[fits, -1])
    held_out = (estimate(values[-1], predictions[-1]), curve.points[-1], error)
    parameters = dict(zip(law.parameters, map(estimate, best, refits), strict=True))
    residual = float(np.sqrt(np.mean((values - curve.means)[:count] ** 2)))
    return LawFit(law, tuple(x.tolist()), parameters, *held_out, residual, aicc(residual, count, law), failed, refits)


def unfit(curve: LawCurve, count: int, law: Law) -> str | None:
    """The reason why the first `count` points cannot carry a law, before it is fitted; None where they can."""
    if count < FEWEST:
        return f"{count} points to fit besides those held out; a law needs at least {FEWEST}"
    if (span := curve.x[count - 1] / curve.x[0]) < SPAN:
        return f"the fitted x span a factor of {span:.3g}; a law needs at least {SPAN:g}"
    logs = np.log2(curve.x[:count])
    slope = curve.of(lambda means: np.polyfit(logs, (means[:, :count] - means[:, :1]).T, 1)[0])
    if not slope.excludes_zero:
        return f"a constant explains the points as well: {slope.text(5, '+')} per doubling of x"
    if slope.high < 0 and law is not Law.LOG_LINEAR:
        return f"the law only rises, the points fall: {slope.text(5, '+')} per doubling of x"
    return None


def aicc(residual: float, points: int, law: Law) -> float | None:
    """AICc under equal Gaussian errors of a root mean square; None where the points are too few for it."""
    numbers = len(law.parameters) + 1  # the error's size is a number too
    if points - numbers < 2:
        return None
    variance = max(residual**2, np.finfo(np.float64).tiny)
    return float(points * np.log(variance) + 2 * numbers * points / (points - numbers - 1))


def prefer(fits: tuple[LawFit | NoFit, ...]) -> tuple[Law | None, str]:
    """The law to prefer, and why.

    A law whose error at the held-out point is told apart from 0 is out. Of the others the one with the lowest AICc is
    preferred, if it leads by 2; where the points are too few for AICc, the one that misses the held-out point least.
    """
    found = [fit for fit in fits if isinstance(fit, LawFit)]
    if not found:
        return None, "no law could be fitted"
    held = [fit for fit in found if not fit.error.excludes_zero]
    nearest = min(held or found, key=lambda fit: abs(fit.error.value))
    if not held:
        miss = abs(nearest.error.value)
        return None, f"every fitted law misses the held-out points, {nearest.law} by the least ({miss:.4f})"
    if len(held) == 1:
        borne = "that could be fitted" if len(found) == 1 else "that the held-out points bear out"
        return held[0].law, f"the only law {borne}"
    scores = sorted((fit.aicc, fit.law) for fit in held if fit.aicc is not None)
    if len(scores) < len(held):
        return nearest.law, f"by the held-out error alone: {len(held[0].x)} points are too few for AICc"
    (best, law), (following, other) = scores[:2]
    if following - best < LEAD:
        return None, f"{law} and {other} are not told apart (AICc differs by {following - best:.1f})"
    return law, f"AICc lower by {following - best:.1f} than that of {other}"
