"""Spaces of dials: what acts, how many trials there are, grids and corners, and every way to describe one wrongly."""

import itertools
import math
from typing import Any

import pytest
from tests.pipeline.studies.small_studies import SPACE, space

from promise.experiments.tuning.search_space import Space

KINDS = Space.of(SPACE, "space")


def test_a_dial_acts_where_its_condition_holds() -> None:
    values = {"search": "plain", "search.width": 10, "search.expansion": 2.0, "search.weight": 0.3}
    assert KINDS.words(values) == ["search=plain", "search.width=10"]
    assert KINDS.words({**values, "search": "guided"}) == [
        "search=guided", "search.width=10", "search.expansion=2.0", "search.weight=0.3"
    ]  # fmt: skip
    nested = space(a=[1, 2], b={"type": "categorical", "choices": ["x", "y"], "when": {"a": 1}},
                   c={"type": "int", "low": 0, "high": 4, "when": {"b": "x"}})  # fmt: skip
    assert nested.words({"a": 2, "b": "x", "c": 3}) == ["a=2"]
    assert nested.size == 5 + 1 + 1


def test_words_are_what_hydra_takes() -> None:
    values = space(a=["x", None, True, 1.5, [20, 10]])
    assert [values.words({"a": choice}) for choice in values.dials[0].choices] == [
        ["a=x"], ["a=null"], ["a=true"], ["a=1.5"], ["a=[20, 10]"]
    ]  # fmt: skip
    number = space(a={"type": "float", "low": 0, "high": 1})
    assert number.words({"a": 1 / 3}) == ["a=0.333333"]


def test_size_counts_what_can_be_drawn() -> None:
    small = space(a=["x", "y"], b={"type": "int", "low": 1, "high": 9, "step": 4},
                  c={"type": "float", "low": 0, "high": 1, "step": 0.1, "when": {"a": "y"}})  # fmt: skip
    every = {" ".join(small.words({"a": a, "b": b, "c": c / 10}))
             for a, b, c in itertools.product("xy", (1, 5, 9), range(11))}  # fmt: skip
    assert small.size == len(every) == 3 + 3 * 11
    assert math.isinf(KINDS.size)
    assert space(a={"type": "float", "low": 2, "high": 2}).size == 1


@pytest.mark.parametrize("most", [1, 2, 10, 40, 41])
def test_a_grid_has_no_more_points_than_asked_for_and_they_differ(most: int) -> None:
    points = [" ".join(KINDS.words(point)) for point in KINDS.grid(most)]
    assert 0 < len(points) == len(set(points)) <= most


def test_the_grid_of_forty() -> None:
    points = KINDS.grid(40)
    assert len(points) == 4 + 4 * 3 * 3
    assert sorted({point["search.width"] for point in points}) == [10, 22, 46, 100]
    assert sorted({point["search.expansion"] for point in points if "search.expansion" in point}) == [1, 3.16228, 10]
    assert sorted({point["search.weight"] for point in points if "search.weight" in point}) == [0, 0.5, 1]


def test_a_grid_of_all_there_is() -> None:
    small = space(a=["x", "y"], b={"type": "int", "low": 1, "high": 3}, c=[True, False])
    assert len(small.grid(1000)) == small.size == 12


def test_corners_hold_every_choice_and_both_ends() -> None:
    assert KINDS.corners() == [
        ["search=plain", "search.width=10"],
        ["search=plain", "search.width=100"],
        ["search=guided", "search.width=10", "search.expansion=1.0", "search.weight=0.0"],
        ["search=guided", "search.width=100", "search.expansion=10.0", "search.weight=1.0"],
    ]


def test_what_is_drawn_is_in_optunas_distribution() -> None:
    for dial in KINDS.dials:
        distribution = dial.distribution()
        for value in dial.spread(7):
            assert distribution._contains(distribution.to_internal_repr(value))


NUMBER = {"type": "int", "low": 1, "high": 5}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "space must name at least one dial"),
        ({"a": 3}, "space: a: type must be float, int or categorical, got 3"),
        ({"a": {"low": 1}}, "space: a: type must be float, int or categorical, got None"),
        ({"a": {**NUMBER, "choices": [1]}}, "space: a: choices is no key of a int dial, which has low, high, log, "),
        ({"a": {**NUMBER, "low": 7}}, "space: a: low must be <= high, got 7 > 5"),
        ({"a": {**NUMBER, "low": 1.5}}, "space: a: low must be an integer, got 1.5"),
        ({"a": {"type": "float", "low": 0}}, "space: a: high must be a number, got None"),
        ({"a": {**NUMBER, "log": 1}}, "space: a: log must be true or false, got 1"),
        ({"a": {**NUMBER, "low": 0, "log": True}}, "space: a: low must be > 0 where log is true, got 0"),
        ({"a": {**NUMBER, "step": 2, "log": True}}, "space: a: step and log exclude each other"),
        ({"a": {**NUMBER, "step": 0}}, "space: a: step must be > 0, got 0"),
        ({"a": {**NUMBER, "step": 3}}, "space: a: high - low must be a multiple of step, got 1, 5 and 3"),
        ({"a": []}, "space: a: choices must be a list of at least one value, got []"),
        ({"a": [1, 1]}, "space: a: choices must differ, got [1, 1]"),
        ({"a": {**NUMBER, "when": 3}}, "space: a: when must be a mapping of dials to values, got 3"),
        ({"a": {**NUMBER, "when": {"b": 1}}}, "space: a: when names b, which is no earlier categorical dial of the "),
        ({"b": [1, 2], "a": {**NUMBER, "when": {"b": 3}}}, "space: a: when names b=3, which is none of its choices"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_named(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        Space.of(entries, "space")
    assert str(error.value).startswith(message)
