"""Dials: every refusal, the spread over levels, and one spelling for equal searches."""

import itertools
import math
from typing import Any

import pytest

from promise.search.options import Level, active_options, candidates_of, check_options, per_level, plan

PLAIN: dict[str, Any] = {
    "width": 20,
    "expansion": 1,
    "candidates": None,
    "weight": 0.0,
    "temperature": 1.0,
    "rerank": False,
    "shuffle_rewards": False,
}
WIDE = (1, 1000, 1000, 1000)


def dials(**chosen: Any) -> dict[str, Any]:
    return {**PLAIN, **chosen}


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"width": [1, 20, 20], "expansion": [1, 2.5, 10], "weight": [0, 0.5, 1]},
        {"candidates": 20},
        {"candidates": [20, 40, 80], "width": [20, 40, 80]},
        {"width": [1, 2, 3], "candidates": 3},
        {"weight": 1, "temperature": 0.01, "rerank": True, "shuffle_rewards": True},
    ],
)
def test_good_dials_pass(chosen: dict[str, Any]) -> None:
    check_options(dials(**chosen))
    check_options(chosen)  # dials that are not there are not checked


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"width": 0}, "search.width must be an integer >= 1, got 0"),
        ({"width": 2.0}, "search.width must be an integer >= 1, got 2.0"),
        ({"width": None}, "search.width must be an integer >= 1, got None"),
        ({"width": [5, 0]}, "search.width must be an integer >= 1, got 0"),
        ({"expansion": 0.5}, "search.expansion must be a number >= 1, got 0.5"),
        ({"expansion": [2, "x"]}, "search.expansion must be a number >= 1, got x"),
        ({"candidates": 19}, "search.candidates must be an integer >= search.width=20, got 19"),
        ({"candidates": [30, 9]}, "search.candidates must be an integer >= search.width=20, got 9"),
        ({"candidates": 6, "width": [5, 7]}, "search.candidates must be an integer >= search.width=7, got 6"),
        ({"candidates": [30, 30], "width": [1, 2, 3]}, "search.candidates has 2 entries, search.width 3"),
        ({"weight": -0.1}, "search.weight must be a number in [0, 1], got -0.1"),
        ({"weight": math.nan}, "search.weight must be a number in [0, 1], got nan"),
        ({"weight": [0, None]}, "search.weight must be a number in [0, 1], got None"),
        ({"temperature": 0}, "search.temperature must be a number > 0, got 0"),
        ({"reward_levels": "first"}, "search.reward_levels must be all or last, got first"),
        ({"fusion": 0}, "search.fusion must be a number > 0, got 0"),
        ({"beta": -1}, "search.beta must be a number >= 0, got -1"),
        ({"smoothing": 0}, "search.smoothing must be a number > 0, got 0"),
        ({"rerank": "yes"}, "search.rerank must be true or false, got yes"),
        ({"shuffle_rewards": "random"}, "search.shuffle_rewards must be true or false, got random"),
        ({"samples": 0}, "search.samples must be an integer >= 1, got 0"),
        ({"samples": 2, "weight": [0, 1]}, "search.weight must be a number in [0, 1], got [0, 1]"),
    ],
)
def test_bad_dials_are_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_options(dials(**chosen))
    assert str(caught.value) == message


def test_per_level() -> None:
    assert per_level("width", 5, 3) == [5, 5, 5]
    assert per_level("width", (1, 2), 2) == [1, 2]
    with pytest.raises(ValueError, match=r"^search\.weight has 2 entries, the semantic IDs have 3 levels$"):
        per_level("weight", [0, 1], 3)


def test_candidates_override_expansion() -> None:
    assert candidates_of(dials(expansion=10), 2) == [200, 200]
    assert candidates_of(dials(expansion=10, candidates=30), 2) == [30, 30]
    assert candidates_of(dials(width=[2, 3], expansion=[1, 1.4]), 2) == [2, 4]
    assert candidates_of(dials(width=1, expansion=1.2), 1) == [1]


def test_plan_spreads_and_bounds_by_what_is_there() -> None:
    assert plan(dials(width=20, expansion=10, weight=1.0), (1, 16, 100, 500)) == [
        Level(16, 16, 1.0),
        Level(20, 100, 1.0),
        Level(20, 200, 1.0),
    ]


def test_plan_drafts_no_more_than_it_keeps_without_weight() -> None:
    assert plan(dials(width=5, expansion=10, weight=[0, 1, 0]), WIDE) == [
        Level(5, 5, 0.0),
        Level(5, 50, 1.0),
        Level(5, 5, 0.0),
    ]


def test_plan_of_rerank_carries_all_candidates_to_the_end() -> None:
    assert plan(dials(width=5, expansion=10, weight=0.5, rerank=True), WIDE) == [
        Level(50, 50, 0.0),
        Level(50, 50, 0.0),
        Level(5, 50, 0.5),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"expansion": 1}, {"expansion": 10}),
        ({"expansion": 1}, {"candidates": 99, "temperature": 3.0, "shuffle_rewards": True}),
        ({"width": 20}, {"width": [20, 20, 20], "weight": [0, 0, 0.0]}),
        ({"weight": 1, "expansion": 2, "temperature": 1}, {"weight": 1.0, "candidates": 40, "temperature": 9.0}),
        ({"weight": [0, 1, 0], "expansion": [1, 4, 1]}, {"weight": [0, 1, 0], "expansion": [3, 4, 7]}),
        ({"weight": 0.5, "expansion": 1}, {"weight": [0, 0, 0.5], "expansion": 1}),
        ({"weight": 1.0, "expansion": 1}, {"weight": [0.5, 0.5, 1], "expansion": 1, "temperature": 2.0}),
        ({"weight": 1.0, "expansion": 1}, {"weight": 1.0, "expansion": 1, "rerank": True}),
        ({"weight": 1.0, "expansion": 4, "rerank": True}, {"weight": [0.2, 0.1, 1], "expansion": 4, "rerank": True}),
        ({"width": [80, 80, 20]}, {"width": 20, "expansion": 4, "rerank": True}),
        ({"weight": [0, 0, 1], "expansion": 4}, {"weight": 1.0, "expansion": 4, "reward_levels": "last"}),
        ({"weight": 1.0, "expansion": 4}, {"weight": 1.0, "expansion": 4, "fusion": 60.0}),
        (
            {"weight": 0.5, "expansion": 4, "fusion": 60},
            {"weight": 0.5, "candidates": 80, "fusion": 60.0, "temperature": 2},
        ),
    ],
)
def test_equal_searches_have_equal_keys(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert active_options(dials(**one), 3) == active_options(dials(**other), 3)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"width": 21}),
        ({}, {"expansion": 4, "rerank": True}),
        ({"weight": 1.0, "expansion": 2}, {"weight": 1.0, "expansion": 4}),
        ({"weight": 1.0, "expansion": 2}, {"weight": 0.9, "expansion": 2}),
        ({"weight": 1.0, "expansion": 2}, {"weight": 1.0, "expansion": 2, "rerank": True}),
        ({"weight": 1.0, "expansion": 2}, {"weight": 1.0, "expansion": 2, "shuffle_rewards": True}),
        ({"weight": 0.5, "expansion": 2}, {"weight": 0.5, "expansion": 2, "temperature": 2.0}),
        ({"weight": 1.0}, {"weight": 0.0}),
        ({"weight": 1.0, "expansion": 2}, {"weight": 1.0, "expansion": 2, "reward_levels": "last"}),
        ({"weight": 0.5, "expansion": 2}, {"weight": 0.5, "expansion": 2, "fusion": 60.0}),
        ({"weight": 0.5, "expansion": 2, "fusion": 9}, {"weight": 0.5, "expansion": 2, "fusion": 60.0}),
    ],
)
def test_different_searches_have_different_keys(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert active_options(dials(**one), 3) != active_options(dials(**other), 3)


def test_equal_keys_mean_equal_plans() -> None:
    """Over a grid: two dials of one key do the same at every level, up to a reward that cuts nothing."""

    def deeds(chosen: dict[str, Any]) -> Any:
        levels = plan(chosen, WIDE)
        acts = [level.weight and (level.candidates > level.width or depth == 2) for depth, level in enumerate(levels)]
        weights = [level.weight if act else 0.0 for level, act in zip(levels, acts, strict=True)]
        mixes = any(0 < weight < 1 for weight in weights)
        return (
            [level.width for level in levels],
            [level.candidates if act else level.width for level, act in zip(levels, acts, strict=True)],
            weights,
            chosen["temperature"] if mixes else None,
            chosen["shuffle_rewards"] if any(weights) else None,
        )

    found: dict[str, Any] = {}
    grid = itertools.product(
        [2, 4, [4, 4, 2]],
        [1, 2, [1, 1, 2]],
        [0.0, 0.5, 1.0, [0, 0, 1], [1, 0.5, 0]],
        [1, 2],
        [False, True],
        [False, True],
    )
    names = ("width", "expansion", "weight", "temperature", "rerank", "shuffle_rewards")
    for values in grid:
        chosen = dials(**dict(zip(names, values, strict=True)))
        assert found.setdefault(repr(active_options(chosen, 3)), deeds(chosen)) == deeds(chosen)
