"""The frontier against the definition, point by point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise.analysis.frontier import hypervolume, knee, pareto

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8)


def dominated(i: int, cost: list[float], accuracy: list[float]) -> bool:
    return any(
        cost[j] <= cost[i] and accuracy[j] >= accuracy[i] and (cost[j] < cost[i] or accuracy[j] > accuracy[i])
        for j in range(len(cost))
    )


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, accuracy = rng.integers(0, 6, (2, 25)).astype(float)  # few values, so that many are equal
    expected = [not dominated(i, cost.tolist(), accuracy.tolist()) for i in range(25)]
    assert pareto(cost, accuracy).tolist() == expected


def test_missing_points_are_never_on_it_and_hide_nothing() -> None:
    assert pareto([np.nan, 1, 2, 3], [9.0, 0.1, np.nan, 0.2]).tolist() == [False, True, False, True]


def test_equal_points_all_stay() -> None:
    assert pareto([1, 1, 1], [0.2, 0.2, 0.1]).tolist() == [True, True, False]


def test_one_point_and_none() -> None:
    assert pareto([1], [0.0]).tolist() == [True]
    assert pareto([], []).tolist() == []


def test_error_shapes() -> None:
    with pytest.raises(ValueError, match=r"^cost and accuracy must be \(n,\), got \(2,\) and \(1,\)$"):
        pareto([1, 2], [1])


def counted(points: list[tuple[int, int]], floor: int, ceiling: int) -> int:
    """Unit cells between the reference point and some point: each cell asked of each point."""
    cells = [(cost, value) for cost in range(ceiling) for value in range(floor, 13)]
    return sum(any(c <= cost and v >= value + 1 for c, v in points) for cost, value in cells)


@given(POINTS, st.integers(0, 5), st.integers(0, 14))
def test_the_area_of_whole_numbers_is_a_count_of_cells(points: list[tuple[int, int]], floor: int, ceiling: int) -> None:
    cost, accuracy = [p[0] for p in points], [p[1] for p in points]
    assert hypervolume(cost, accuracy, (floor, ceiling)) == counted(points, floor, ceiling)


def test_an_equal_and_a_missing_point_count_nothing() -> None:
    assert hypervolume([1, 1, 2], [0.5, 0.5, np.nan], (0, 3)) == pytest.approx(1.0)
    assert hypervolume([], [], (0, 1)) == 0


def test_the_knee() -> None:
    assert knee([1, 10, 100], [0.1, 0.3, 0.35]) == 1
    assert knee([100, 1, 10, 50], [0.35, 0.1, 0.3, 0.01]) == 2  # any order, dominated ones don't matter
    assert knee([1, 10, 100], [0.1, 0.2, 0.3]) == 0  # a straight line: the cheapest
    assert knee([5], [0.1]) == 0
    assert knee([], []) is None


def test_shapes() -> None:
    for function in (lambda c, a: hypervolume(c, a, (0, 1)), knee):
        with pytest.raises(ValueError, match=r"^cost and accuracy must be \(n,\), got \(2,\) and \(1,\)$"):
            function([1, 2], [1])
