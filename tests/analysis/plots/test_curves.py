"""Which rows make one curve, what it is called, and what its points say."""

import math
from typing import Any

import pytest

from promise.analysis.plots.curves import curves, usable
from promise.analysis.results import results_table


def names(rows, along="candidates") -> list[str]:
    return [curve.name for curve in curves(results_table(rows), "recall@10", along)]


def test_the_candidates_sweep(sweep) -> None:
    drawn = curves(results_table(sweep), "recall@10", "candidates")
    assert [curve.name for curve in drawn] == [
        "plain beam", "guided, W = 10", "guided, W = 20", "exhaustive, λ = 0", "exhaustive, λ = 1",
    ]  # fmt: skip
    plain, _, guided, exhaustive, _ = drawn
    assert plain.along("width").tolist() == plain.along("candidates").tolist() == [10, 20, 50]
    assert guided.along("candidates").tolist() == [20, 40, 80, 200]
    assert guided.along("value").tolist() == pytest.approx([0.061, 0.062, 0.064, 0.07])
    assert guided.points[0].low == pytest.approx(0.058) and math.isnan(exhaustive.points[0].candidates)


def test_along_width_and_weight(sweep, row) -> None:
    assert names(sweep, "width")[:3] == ["plain beam", "guided, C = 1 W", "guided, C = 2 W"]
    rows = [row("guided", 0.05 + x / 100, 1e8, width=20, candidates=80, weight=x) for x in (0.5, 0.0, 1.0)]
    rows += [row("plain", 0.05, 1e8, width=w) for w in (10, 20)]
    drawn = curves(results_table(rows), "recall@10", "weight")
    assert [curve.name for curve in drawn] == ["plain beam, W = 10", "plain beam, W = 20", "guided, W = 20"]
    assert drawn[-1].along("weight").tolist() == [0.0, 0.5, 1.0]
    levels = row("guided", 0.9, 1e8, width=20, candidates=80, weight=[0, 1])  # the mean of a λ by level is none
    labels = [curve.name for curve in curves(results_table([*rows, levels]), "recall@10", "weight")]
    assert "guided, W = 20, λ = 0-1" in labels
    assert names(rows) == ["plain beam", *(f"guided, W = 20, λ = {x}" for x in ("0", "0.5", "1"))]


def test_seeds_become_one_point(row) -> None:
    rows = [row("plain", value, 1e8, width=20, seed=seed) for seed, value in enumerate((0.04, 0.05, 0.06))]
    ((point,),) = (curve.points for curve in curves(results_table(rows), "recall@10", "candidates"))
    assert (point.value, point.low, point.high) == pytest.approx((0.05, 0.047, 0.053))
    assert point.seeds == (0.04, 0.05, 0.06)


def test_other_dials_of_searches_without_a_line_are_no_seeds(row) -> None:
    rows = [row("reward_beam", 0.04, 1e6, width=w, seed=seed) for w in (20, 100) for seed in (0, 1)]
    rows += [row("pmi", 0.03, 1e6, width=20) | {"search.beta": beta} for beta in (0.1, 0.2)]
    rows += [row("last_level", 0.05, 1e6, width=20, candidates=c, weight="[0, 0, 1]") for c in (20, 200)]
    assert names(rows) == [
        "pmi, beta 0.1", "pmi, beta 0.2",
        "reward at the last level alone, C = 20", "reward at the last level alone, C = 200",
        "reward beam, W = 20", "reward beam, W = 100",
    ]  # fmt: skip
    assert all(len(curve.points) == 1 for curve in curves(results_table(rows), "recall@10", "candidates"))
    assert names(rows[:2]) == ["reward beam"]  # of two seeds


def test_dials_without_a_column_are_no_seeds(row) -> None:
    kinds = (None, "training.negatives=hard", "training.negatives=frequent training.learning_rate=0.002")
    rows = [row("guided", 0.05, 1e8, width=20, candidates=200) | {"further": kind} for kind in kinds]
    assert names(rows) == [
        "guided, W = 20", "negatives frequent, learning_rate 0.002, guided, W = 20", "negatives hard, guided, W = 20"
    ]  # fmt: skip
    assert names(rows[1:2]) == ["guided, W = 20"]
    many = [row("guided", x / 100, 1e8, width=20, candidates=100 + x) | {"trial": x} for x in range(1, 12)]
    for same in ({}, {"search.candidates": 100}):  # of unlike networks: what a study draws is no seed
        trials = [each | {"further": f"ids.codes={each['trial']}"} | same for each in many]
        (curve,) = curves(results_table(trials), "recall@10", "candidates")
        assert curve.scattered and sorted(point.seeds for point in curve.points) == [(x / 100,) for x in range(1, 12)]


def test_baselines_of_unlike_data_are_no_seeds(row) -> None:
    one = row("popularity", 0.05, 0.0) | {"data_fingerprint": "a", "further": "data.root=a generator=tiny"}
    other = one | {"data_fingerprint": "b", "further": "data.root=b generator=small", "recall@10": 0.09}
    assert names([one, other]) == ["root a, popularity", "root b, popularity"]
    (curve,) = curves(results_table([one, other | {"further": None}]), "recall@10", "candidates")[:1]
    assert all(len(point.seeds) == 1 for point in curve.points)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("search.adaptive", "entropy", "entropy"),
        ("cooccurrence.scale", 3, "scale 3"),
        ("allow", "sha256:a", "allow sha256:a"),
        ("deny", "sha256:a", "deny sha256:a"),
    ],
)
def test_what_a_point_has_and_another_has_not_makes_no_seeds(row, name: str, value: Any, told: str) -> None:
    one = row("guided", 0.05, 1e8, width=20, candidates=200)
    assert set(names([one, one | {"seed": 1}, one | {name: value}])) == {"guided, W = 20", f"{told}, guided, W = 20"}


def test_candidates_by_level_are_no_seeds_of_their_largest(row) -> None:
    rows = [row("guided", x / 100, 1e8, width=20, candidates=c) for x, c in ((1, [200, 200]), (2, [40, 200]))]
    (curve,) = curves(results_table(rows), "recall@10", "candidates")
    assert sorted(point.seeds for point in curve.points) == [(0.01,), (0.02,)]


def test_labels_name_what_differs_and_only_that(row) -> None:
    rows = [
        row("plain", 0.05, 1e8, width=20, generator=g, seen=s) for g in ("tiny", "base") for s in ("keep", "remove")
    ]
    assert sorted(names(rows)) == [
        "past items kept, base, plain beam", "past items kept, tiny, plain beam",
        "past items removed, base, plain beam", "past items removed, tiny, plain beam",
    ]  # fmt: skip
    assert names(rows[:1]) == ["plain beam"]
    controls = [row("guided", 0.05, 1e8, width=20, control=control) for control in (None, "none", "shuffled")]
    assert names(controls) == ["guided, W = 20", "guided, W = 20, shuffled"]


def test_per_level_dials_and_missing_candidates(row) -> None:
    rows = [row("guided", 0.05, 1e8, width=[50, 20, 20], candidates=[50, 80, 80], weight=[0, 1, 1])]
    (curve,) = curves(results_table(rows), "recall@10", "candidates")
    assert curve.name == "guided, W = 50-20-20"
    assert (curve.points[0].candidates, curve.points[0].weight) == (80, pytest.approx(2 / 3))
    assert names([row("guided", 0.05, 1e8, width=[20, 20], candidates=[80, 80])]) == ["guided, W = 20"]
    rows = [row("guided", 0.05, 1e8, width=20, expansion=4), row("guided", 0.05, 1e8, width=30)]
    assert [curve.points[0].candidates for curve in curves(results_table(rows), "recall@10", "candidates")] == [80, 30]


def test_unfinished_rows_and_missing_values(row) -> None:
    rows = [
        row("plain", 0.05, 0, width=10),
        row("plain", None, 1e8, width=20),
        row("plain", math.nan, 1e8, width=30),
        row("plain", 0.05, 1e8, width=40, status="failed"),
        {"search": "plain", "search.width": 50, "recall@10": 0.06},
    ]
    table = results_table(rows)
    assert usable(table, "recall@10")["search.width"].to_list() == [50, 10]
    points = {p.width: p for curve in curves(table, "recall@10", "candidates") for p in curve.points}
    assert math.isnan(points[10].flops) and math.isnan(points[50].low)
    assert names([]) == []
