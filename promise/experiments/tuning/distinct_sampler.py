"""An Optuna sampler that lets another one draw until the dials differ from those of every trial so far."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from promise.experiments.tuning.search_space import Space

#: Draws of the sampler itself, and evenly random ones after those, before the space is searched in order.
DRAWS = 100


class DistinctSampler(BaseSampler):
    """Draws all dials of a trial at once.

    Args:
        inner: The sampler that draws; None = there are the points of the grid alone.
        space: The dials.
        taken: Overrides (joined by a blank) of the trials so far.
        grid: Points that are drawn in their order before the sampler draws.
        seed: Seed of the evenly random draws.
    """

    def __init__(
        self, inner: BaseSampler | None, space: Space, taken: Collection[str], grid: Sequence[dict[str, Any]], seed: int
    ) -> None:
        self.inner = inner
        self.space = space
        self.taken = taken
        self.grid = grid
        self.even = RandomSampler(seed=seed)
        # NSGA-II crosses only dials that every parent has; so all are drawn, and those that cannot act are let be.
        self.whole = isinstance(inner, NSGAIISampler)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {dial.name: dial.distribution() for dial in self.space.dials}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values of a new trial.

        Raises:
            ValueError: If every trial of the space is taken.
        """
        for point in self.grid:
            if self._is_new(point):
                return dict(point)
        if self.inner is not None:
            known = self.inner.infer_relative_search_space(study, trial)
            for turn in range(2 * DRAWS):
                sampler = self.inner if turn < DRAWS else self.even
                drawn = sampler.sample_relative(study, trial, known) if turn < DRAWS else {}
                values: dict[str, Any] = {}
                for dial in self.space.dials:
                    if self.whole or dial.acts(values):
                        values[dial.name] = (
                            drawn[dial.name]
                            if dial.name in drawn
                            else sampler.sample_independent(study, trial, dial.name, search_space[dial.name])
                        )
                if self._is_new(values):
                    return values
        if self.inner is not None and np.isfinite(self.space.size):
            for point in self.space.grid(int(self.space.size)):
                if self._is_new(point):
                    return point
        raise ValueError("every trial of the space is taken")

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.even.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        if self.inner is not None:
            self.inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        if self.inner is not None:
            self.inner.after_trial(study, trial, state, values)

    def _is_new(self, values: dict[str, Any]) -> bool:
        return " ".join(self.space.words(values)) not in self.taken


def make_sampler(name: str, first: int, seed: int) -> BaseSampler | None:
    """Optuna's sampler of a name; None for a grid, which needs none.

    Args:
        name: tpe, nsgaii or random.
        first: Trials of the coarse grid that TPE learns from before it draws; as many make a generation of NSGA-II.
        seed: Seed of its draws.
    """
    if name == "tpe":
        return TPESampler(n_startup_trials=first, seed=seed)
    if name == "nsgaii":
        return NSGAIISampler(population_size=max(2, first), seed=seed)
    return RandomSampler(seed=seed) if name == "random" else None
