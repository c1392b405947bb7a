"""The frontier against the definition, point by point."""

import numpy as np
import pytest

from promise.analysis.frontier import knee, pareto


def dominated(i: int, cost: list[float], accuracy: list[float]) -> bool:
    return any(
        cost[j] <= cost[i] and accuracy[j] >= accuracy[i] and (cost[j] < cost[i] or accuracy[j] > accuracy[i])
        for j in range(len(cost))
    )


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, accuracy = rng.integers(0, 6, (2, 25)).astype(float)  # few values, so that many are equal
    expected = [not dominated(i, cost.tolist(), accuracy.tolist()) for i in range(25)]
    assert pareto(cost, accuracy).tolist() == expected


def test_missing_points_are_never_on_it_and_hide_nothing() -> None:
    assert pareto([np.nan, 1, 2, 3], [9.0, 0.1, np.nan, 0.2]).tolist() == [False, True, False, True]


def test_the_knee() -> None:
    assert knee([1, 10, 100], [0.1, 0.3, 0.35]) == 1
    assert knee([100, 1, 10, 50], [0.35, 0.1, 0.3, 0.01]) == 2  # any order, dominated ones don't matter
    assert knee([1, 10, 100], [0.1, 0.2, 0.3]) == 0  # a straight line: the cheapest
    assert knee([5], [0.1]) == 0
    assert knee([], []) is None
