"""The hypervolume against a slow oracle that counts cells, and the knee of curves drawn by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise.analysis.hypervolume import hypervolume, knee

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8)


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
