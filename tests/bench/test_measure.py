"""Turns, medians and goals."""

import pytest

from promise.bench.measure import Measure, Timing


def test_a_ratio_is_of_medians_and_its_range_of_turns() -> None:
    found = Timing((3.0, 1.0, 2.0)).over(Timing((1.0, 1.0, 4.0)), factor=10)
    assert found == {"ratio": 20.0, "low": 5.0, "high": 30.0}


def test_rates_count_the_work_of_both_sides_and_times_are_per_piece() -> None:
    found = Timing((2.0,)).rate(Timing((1.0,)), (100, 5), "x", "users/s", goal=9.0)
    assert (found.ours, found.theirs, found.ratio, found.verdict) == (50.0, 5.0, 10.0, "met")
    found = Timing((2.0,)).time(Timing((1.0,)), "x", pieces=4, goal=1.5)
    assert (found.ours, found.theirs, found.ratio, found.verdict) == (500.0, 250.0, 2.0, "missed")


@pytest.mark.parametrize(
    ("ours", "ratio", "goal", "direction", "verdict"),
    [
        (5.0, None, 5.0, "at least", "met"),
        (4.9, None, 5.0, "at least", "missed"),
        (5.0, None, 5.0, "at most", "met"),
        (5.1, None, 5.0, "at most", "missed"),
        (1.0, 9.0, 5.0, "at least", "met"),  # the ratio is judged where there is one
        (1.0, 9.0, None, "at least", ""),
        (None, None, 5.0, "at least", ""),
    ],
)
def test_goals(ours: float | None, ratio: float | None, goal: float | None, direction: str, verdict: str) -> None:
    assert Measure("name", "s", ours, ratio=ratio, goal=goal, direction=direction).verdict == verdict
