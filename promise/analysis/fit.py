"""Scaling laws: accuracy against candidates or compute, fitted on small budgets and tested on the largest.

Points are not weighted in a fit: they share their users, so most of a point's own error moves the whole curve.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promise.analysis.equations import EXPONENTS, Law, line, refit, values_of
from promise.analysis.resampling import LEVEL, Curve, Estimate, TurningPoint, estimate, resampled, turn_of

#: Fewest points that a law is fitted through; the held-out ones come on top.
FEWEST = 4

#: Fewest times the smallest fitted x that the largest must be: less is no range to tell a law from a line.
SPAN = 2.0

#: What a power law is at either end of the exponents.
ENDS = ("a straight line in log x", "only the first point below the ceiling")

#: AICc by which the better law must lead to be preferred (Burnham and Anderson: below 2, both have support).
LEAD = 2.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """What a law said about a point that it never saw.

    Attributes:
        x: The point's place.
        predicted: The law's value there; the interval is that of the refits.
        observed: The mean that was measured.
        error: Predicted minus observed, both on the same users in every resample.
    """

    x: float
    predicted: Estimate
    observed: Estimate
    error: Estimate


@dataclass(frozen=True)
class Fit:
    """A law with its parameters.

    Attributes:
        law: Which law.
        x: (points,) the fitted places, rising; the first is x₀.
        parameters: Estimates by name (`a`, `b`, and `c` where the law has it).
        held_out: One entry for each held-out point, rising in x.
        residual: Root mean square distance of the fitted points from the law, in the unit of the metric.
        aicc: Akaike's criterion, corrected for few points; None where the points are too few for it.
        failed: Share of the resamples that the law could not be fitted to; they are in no interval.
        refits: (refits, 3) parameters a, b, c of the other resamples; c is NaN in a law without it.
    """

    law: Law
    x: tuple[float, ...]
    parameters: dict[str, Estimate]
    held_out: tuple[HeldOut, ...]
    residual: float
    aicc: float | None
    failed: float
    refits: Floats = field(repr=False, compare=False)

    def at(self, x: ArrayLike) -> tuple[Estimate, ...]:
        """The law's values at places x (n,), each with the interval of the refits."""
        places = np.asarray(x, dtype=np.float64) / self.x[0]
        best = np.array([[self.parameters[name].value if name in self.parameters else np.nan for name in "abc"]])
        values, draws = values_of(self.law, best, places)[0], values_of(self.law, self.refits, places)
        return tuple(estimate(float(value), column) for value, column in zip(values, draws.T, strict=True))


@dataclass(frozen=True)
class NoFit:
    """A law that the points can't carry, and why; it has no numbers.

    Attributes:
        law: Which law.
        reason: One sentence.
    """

    law: Law
    reason: str


@dataclass(frozen=True)
class Comparison:
    """All laws on one curve.

    Attributes:
        curve: The points, those held out among them.
        held_out: Number of points held out, the largest x.
        fits: One result for each law, in the order of `Law`.
        turning: Where more begins to hurt, over all points; None where nothing shows that it does.
        preferred: The law that explains the points best; None where none does, or they can't be told apart.
        verdict: Why, in one sentence.
    """

    curve: Curve
    held_out: int
    fits: tuple[Fit | NoFit, ...]
    turning: TurningPoint | None
    preferred: Law | None
    verdict: str

    @property
    def fitted(self) -> list[Fit]:
        """The laws that could be fitted; the one to show first stands first."""
        found = [fit for fit in self.fits if isinstance(fit, Fit)]
        return sorted(found, key=lambda fit: (fit.law != self.preferred, fit.aicc if fit.aicc is not None else 0.0))


def fit_law(
    x: ArrayLike, values: ArrayLike, law: Law, held_out: int = 1, resamples: int = 1000, seed: int = 0
) -> Fit | NoFit:
    """Fit one law to a curve, and hold it against the largest x.

    Args:
        x: (points,) candidates or FLOPs, in any order, > 0 and distinct.
        values: (points, users) one value per user and point, such as 1 for a hit, averaged over a user's seeds first.
        law: The law.
        held_out: Number of points, those of the largest x, that take no part in the fit.
        resamples: Number of resamples of the users behind the intervals, >= 1.
        seed: Seed of the resampling.

    Returns:
        The fit, or the reason why there is none: fewer than 4 points, too short a range, no trend, or an exponent that
        the points do not determine.

    Raises:
        ValueError: If `held_out` is out of range, or as `resampling.resampled`.
    """
    return _fit(resampled(x, values, resamples, seed), _checked(held_out), law)


def fit_all(x: ArrayLike, values: ArrayLike, held_out: int = 1, resamples: int = 1000, seed: int = 0) -> Comparison:
    """Fit every law to a curve, over the same resamples of the users, and say which one is to be preferred.

    Args:
        x: (points,) as for `fit_law`.
        values: (points, users) as for `fit_law`.
        held_out: Number of points, those of the largest x, that take no part in the fits.
        resamples: Number of resamples of the users behind the intervals, >= 1.
        seed: Seed of the resampling.

    Returns:
        The fits, the turning point and the verdict.

    Raises:
        ValueError: As `fit_law`.
    """
    curve = resampled(x, values, resamples, seed)
    fits = tuple(_fit(curve, _checked(held_out), law) for law in Law)
    return Comparison(curve, held_out, fits, turn_of(curve), *prefer(fits))


def prefer(fits: tuple[Fit | NoFit, ...]) -> tuple[Law | None, str]:
    """The law to prefer, and why.

    A law whose error at a held-out point is told apart from 0 is out. Of the others the one with the lowest AICc is
    preferred, if it leads by 2; where the points are too few for AICc, the one that misses the held-out points least.
    """
    found = [fit for fit in fits if isinstance(fit, Fit)]
    if not found:
        return None, "no law could be fitted"
    held = [fit for fit in found if not any(point.error.excludes_zero for point in fit.held_out)]
    if not held:
        nearest = min(found, key=_miss)
        missed = f"{nearest.law}{' by the least' if len(found) > 1 else ''} ({_miss(nearest):.4f})"
        which = "every fitted law misses" if len(found) > 1 else "the only law that could be fitted misses"
        return None, f"{which} the held-out points, {missed}"
    if len(held) == 1:
        only = (
            "the only law that could be fitted" if len(found) == 1 else "the only law that the held-out points bear out"
        )
        return held[0].law, only
    scores = sorted((fit.aicc, fit.law) for fit in held if fit.aicc is not None)
    if len(scores) < len(held):
        few = f"{len(held[0].x)} points are too few for AICc"
        return (min(held, key=_miss).law, f"by the held-out error alone: {few}") if held[0].held_out else (None, few)
    (best, law), (following, other) = scores[:2]
    if following - best < LEAD:
        return None, f"{law} and {other} are not told apart (AICc differs by {following - best:.1f})"
    return law, f"AICc lower by {following - best:.1f} than that of {other}"


def _fit(curve: Curve, held_out: int, law: Law) -> Fit | NoFit:
    """`fit_law` of a curve whose users are resampled already."""
    count = len(curve.x) - held_out
    x, places = curve.x[:count], curve.x / curve.x[0]
    if count < FEWEST:
        return NoFit(law, f"{max(count, 0)} points to fit besides those held out; a law needs at least {FEWEST}")
    if places[count - 1] < SPAN:
        return NoFit(law, f"the fitted x span a factor of {places[count - 1]:.3g}; a law needs at least {SPAN:g}")
    if reason := _no_trend(curve, count, law):
        return NoFit(law, reason)
    best = refit(law, places[:count], curve.means[None, :count])
    draws = refit(law, places[:count], curve.draws[:, :count])
    fits = np.isfinite(draws[:, 0])
    failed, tail = 1 - float(fits.mean()), (1 - LEVEL) / 2
    if not np.isfinite(best[0, 0]) or failed > tail:
        return NoFit(law, f"the law could not be fitted to {failed:.1%} of the resamples; at most {tail:.1%} may fail")
    refits = draws[fits]
    if "c" in law.parameters:
        for bound, what in zip(EXPONENTS, ENDS, strict=True):
            if (np.isclose(refits[:, 2], bound, rtol=1e-2)).mean() > tail or np.isclose(best[0, 2], bound, rtol=1e-2):
                return NoFit(law, f"the exponent is not determined: its interval touches {bound:g} ({what})")
    parameters = {name: estimate(float(best[0, place]), refits[:, place]) for place, name in enumerate(law.parameters)}
    values, predictions = values_of(law, best, places)[0], values_of(law, refits, places)
    later = tuple(
        HeldOut(
            float(curve.x[i]),
            estimate(float(values[i]), predictions[:, i]),
            curve.points[i],
            estimate(float(values[i] - curve.means[i]), predictions[:, i] - curve.draws[fits, i]),
        )
        for i in range(count, len(curve.x))
    )
    residual = float(np.sqrt(((values - curve.means)[:count] ** 2).mean()))
    aicc = _aicc(law, values[:count], curve.means[:count])
    return Fit(law, tuple(x.tolist()), parameters, later, residual, aicc, failed, refits)


def _no_trend(curve: Curve, count: int, law: Law) -> str | None:
    """Why the fitted points have no trend that the law could describe; None where they have one."""
    logs = np.log2(curve.x[:count])
    slope = curve.of(lambda means: line(np.broadcast_to(logs, means[:, :count].shape), means[:, :count])[1])
    if not slope.excludes_zero:
        return f"a constant explains the points as well: {slope.text(5, '+')} per doubling of x"
    if slope.high < 0 and law is not Law.LOG_LINEAR:
        return f"the law only rises, the points fall: {slope.text(5, '+')} per doubling of x"
    return None


def _aicc(law: Law, values: Floats, means: Floats) -> float | None:
    """AICc of values (n,) under equal Gaussian errors of y, or of log y in a law that is fitted there."""
    points, numbers = len(means), len(law.parameters) + 1  # the error's size is a number too
    if points - numbers < 2:
        return None
    logarithmic = law is Law.EXPONENTIATED_POWER
    errors = np.log(values / means) if logarithmic else values - means
    variance = max(float((errors**2).mean()), np.finfo(np.float64).tiny)
    # In the unit of y: a density of log y is one of y times y.
    likelihood = points * np.log(variance) + (2 * float(np.log(means).sum()) if logarithmic else 0.0)
    return float(likelihood + 2 * numbers * points / (points - numbers - 1))


def _miss(fit: Fit) -> float:
    """Largest distance of the law from a held-out point."""
    return max(abs(point.error.value) for point in fit.held_out)


def _checked(held_out: int) -> int:
    if held_out < 0:
        raise ValueError(f"held_out must be >= 0, got {held_out}")
    return held_out
