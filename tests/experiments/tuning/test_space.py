"""Spaces: what acts, how many trials there are, corners, and every way to describe one wrongly."""

import itertools
import math
from typing import Any

import pytest

from promise.experiments.tuning.space import Space
from tests.experiments.tuning.small_studies import SPACE, space

KINDS = Space(SPACE, "space")


def test_a_dimension_acts_where_its_condition_holds() -> None:
    values = {"search": "plain", "search.width": 10, "search.expansion": 2.0, "search.weight": 0.3}
    assert KINDS.overrides(values) == ["search=plain", "search.width=10"]
    assert KINDS.overrides({**values, "search": "guided"}) == [
        "search=guided", "search.width=10", "search.expansion=2.0", "search.weight=0.3"
    ]  # fmt: skip
    nested = space(a=[1, 2], b={"type": "categorical", "choices": ["x", "y"], "when": {"a": 1}},
                   c={"type": "int", "low": 0, "high": 4, "when": {"b": "x"}})  # fmt: skip
    assert nested.overrides({"a": 2, "b": "x", "c": 3}) == ["a=2"]
    assert nested.size == 5 + 1 + 1


def test_overrides_are_what_hydra_takes() -> None:
    values = space(a=["x", None, True, 1.5, [20, 10]])
    assert [values.overrides({"a": choice}) for choice in values.dimensions[0].choices or []] == [
        ["a=x"], ["a=null"], ["a=true"], ["a=1.5"], ["a=[20, 10]"]
    ]  # fmt: skip
    assert space(a={"type": "float", "low": 0, "high": 1}).overrides({"a": 1 / 3}) == ["a=0.333333"]


def test_size_counts_what_can_be_drawn() -> None:
    small = space(a=["x", "y"], b={"type": "int", "low": 1, "high": 9, "step": 4},
                  c={"type": "float", "low": 0, "high": 1, "step": 0.1, "when": {"a": "y"}})  # fmt: skip
    every = {" ".join(small.overrides({"a": a, "b": b, "c": c / 10}))
             for a, b, c in itertools.product("xy", (1, 5, 9), range(11))}  # fmt: skip
    assert small.size == len(every) == 3 + 3 * 11
    assert math.isinf(KINDS.size)
    assert space(a={"type": "float", "low": 2, "high": 2}).size == 1


def test_corners_hold_every_choice_and_both_ends() -> None:
    assert sorted(KINDS.corners()) == [
        ["search=guided", "search.width=10", "search.expansion=1.0", "search.weight=0.0"],
        ["search=guided", "search.width=100", "search.expansion=10.0", "search.weight=1.0"],
        ["search=plain", "search.width=10"],
        ["search=plain", "search.width=100"],
    ]


NUMBER = {"type": "int", "low": 1, "high": 5}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "space must name at least one key"),
        ({"a": 3}, "space: a: type must be float, int or categorical, got 3"),
        ({"a": {"low": 1}}, "space: a: type must be float, int or categorical, got None"),
        ({"a": {**NUMBER, "choices": [1]}}, "space: a: IntDistribution.__init__() got an unexpected keyword argument"),
        ({"a": {**NUMBER, "low": 7}}, "space: a: `low <= high` must hold"),
        ({"a": {**NUMBER, "low": 1.5}}, "space: a: low must be an integer, got 1.5"),
        ({"a": {"type": "float", "low": "x", "high": 1}}, "space: a: low must be a number, got x"),
        ({"a": {"type": "float", "low": 0}}, "space: a: FloatDistribution.__init__() missing 1 required pos"),
        ({"a": {**NUMBER, "low": 0, "log": True}}, "space: a: `low >= 1` must hold for `log=True`"),
        ({"a": {**NUMBER, "step": 2, "log": True}}, "space: a: "),
        ({"a": {**NUMBER, "step": 0}}, "space: a: `step > 0` must hold"),
        ({"a": {**NUMBER, "step": 3}}, "space: a: The distribution is specified by [1, 5] and step=3, but the ra"),
        ({"a": []}, "space: a: The `choices` must contain one or more elements"),
        ({"a": [1, 1]}, "space: a: choices must differ, got [1, 1]"),
        ({"a": {**NUMBER, "when": 3}}, "space: a: when must map keys to values, got 3"),
        ({"a": {**NUMBER, "when": {"b": 1}}}, "space: a: when names b, which is no earlier categorical key of the sp"),
        ({"b": [1, 2], "a": {**NUMBER, "when": {"b": 3}}}, "space: a: when names b=3, which is none of its choices"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_named(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        Space(entries, "space")
    assert str(error.value).startswith(message)
