"""Headline rows: which point is which method, whose half a user is in, the comparisons, and the command of a row."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from omegaconf import OmegaConf

from promise import configs
from promise.analysis.report.headline import COMPARISON_COLUMNS, ROW_COLUMNS
from promise.experiments.findings import Measured
from promise.experiments.headline import Entry, command, comparisons, headline_points, headline_rows, users_by_half
from promise.metrics.intervals import paired_interval
from promise.metrics.ranking import NOT_RANKED, ndcg_values, recall_values

USERS = 300
EQUAL = {"search_width": 20, "search_candidates": 20, "search_weight": 1.0}
EVERYONE = {"all": np.ones(USERS, dtype=bool)}


def ranks(share: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.where(random.random(USERS) < share, random.integers(0, 10, USERS), NOT_RANKED).astype(np.int64)


def entry(search: str, share: float = 0.3, seed: int = 0, seen: str = "keep", **row: Any) -> Entry:
    settings = {"seed": seed, "split": "test", "evaluation": {"users": None}} | row.pop(
        "options", {"search": {"width": 20}}
    )
    base = {
        "data": "shop",
        "seen": seen,
        "search": search,
        "training": None,
        "parameters": None,
        "flops_per_user": 10.04,
    }
    base |= {f"{name}@{k}": 0.1 for name in ("recall", "ndcg") for k in (5, 10)}
    row = base | {name.replace("search_", "search."): value for name, value in row.items()}
    return Entry(
        Measured(row, ranks(share, seed)), OmegaConf.create(settings), row.pop("chosen", search), ["data=shop"]
    )


@pytest.mark.parametrize(
    ("point", "method"),
    [
        (entry("popularity"), "popularity"),
        (entry("guided", search_weight=1.0, search_control="none"), "guided"),
        (entry("guided", search_weight=1.0, search_control="shuffled"), None),
        (entry("guided", allow="sha256:1"), None),
        (entry("popularity", deny="sha256:1"), None),
        (entry("plain", training="joint"), "plain"),
        (entry("plain", training="generator"), "plain_alone"),
        (entry("plain", training="generator", chosen="guided"), "plain_alone"),
        (entry("orm", training="joint"), "orm"),
        (entry("guided", chosen="orm", **EQUAL), "orm_equal_flops"),
        (entry("guided", chosen="orm", **EQUAL | {"search_weight": 0.5}), None),
        (entry("guided", chosen="orm", **EQUAL | {"search_candidates": 200}), None),
        (entry("guided", chosen="orm", **EQUAL, options={"training": {"shuffle_histories": True}}), None),
        (entry("guided", options={"training": {"shuffle_histories": True}}), "shuffled_histories"),
        (entry("plain", options={"training": {"shuffle_histories": True}}), None),
        (entry("orm", training="joint", chosen="second_scorer"), "second_scorer"),
        (entry("exhaustive", search_weight=1.0), "exhaustive"),
        (entry("exhaustive", search_weight=0.0), None),
        (entry("best_of_n"), None),
        *((entry(name), name) for name in ("last_level", "fusion", "pmi")),
    ],
)
def test_which_method_a_point_is(point: Entry, method: str | None) -> None:
    assert point.method == method


def test_another_split_is_another_data_set() -> None:
    points = [entry("plain"), entry("plain", share=0.9, data="shop:split=time")]
    assert headline_points(points) == points
    rows = [row["dataset"] for point in points for row in headline_rows(point, EVERYONE)]
    assert rows == ["shop", "shop:split=time"]


def test_one_point_per_method_and_seed(caplog: pytest.LogCaptureFixture) -> None:
    points = [entry("plain"), entry("plain", share=0.9), entry("plain", seed=1), entry("plain", seen="remove")]
    assert headline_points([*points, entry("best_of_n")]) == [points[0], *points[2:]]
    assert caplog.messages == ["headline: a second point is plain of seed 0; the first one counts"]


def test_rows_of_all_users_and_of_halves() -> None:
    point = entry("guided", parameters=7, **{"ndcg@5": None})
    above = np.arange(USERS) < 100
    rows = {row["half"]: row for row in headline_rows(point, EVERYONE | {"above": above})}
    found = point.measured.ranks
    assert rows["all"]["recall@10"] == round(recall_values(found, 10).mean(), 6)
    assert rows["above"]["ndcg@10"] == round(ndcg_values(found[:100], 10).mean(), 6)
    assert rows["all"]["ndcg@5"] is None and rows["above"]["ndcg@5"] is None
    assert (rows["all"]["flops_per_user"], rows["above"]["flops_per_user"]) == (10.0, None)
    assert rows["above"]["parameters"] == 7 and tuple(rows["all"]) == ROW_COLUMNS


def test_rows_name_their_recipe_and_what_they_retrieve() -> None:
    point = entry("plain", training="joint", **{"recall@50": 0.2})
    point.measured.row["recall_ceiling"] = 0.4
    rows = {row["half"]: row for row in headline_rows(point, EVERYONE | {"above": np.arange(USERS) < 100})}
    assert rows["all"]["recall@50"] == round(recall_values(point.measured.ranks, 50).mean(), 6)
    assert (rows["all"]["recall@500"], rows["all"]["recall_ceiling"], rows["above"]["recall_ceiling"]) == (
        None,
        0.4,
        None,
    )
    assert point.recipe == rows["all"]["recipe"] == "count_free"
    point.cfg.cooccurrence = {"scale": 1.0}
    assert point.recipe == "counts"
    assert replace(point, words=["experiment=paper"]).recipe == "paper"


def test_comparisons_are_paired_over_the_seeds_that_both_have() -> None:
    guided, plain, orm = ([entry(name, share, seed) for seed in seeds] for name, share, seeds in (
        ("guided", 0.5, (0, 1, 2)), ("plain", 0.3, (2, 1)), ("orm", 0.5, (7,))
    ))  # fmt: skip
    users = np.arange(USERS) % 2 == 0
    rows = list(comparisons([*guided, *plain, *orm], {"above": users}))
    assert [(row["against"], row["metric"]) for row in rows] == [("plain", "recall@10"), ("plain", "ndcg@10")]
    pair = (
        [ndcg_values(by[seed].measured.ranks[users], 10) for seed in (1, 2)] for by in (guided, [None, *plain[::-1]])
    )
    first, second = pair
    expected = paired_interval(first, second, seed=0)
    row = rows[1]
    assert (row["difference"], row["low"], row["high"]) == tuple(
        round(value, 6) for value in (expected.mean, expected.low, expected.high)
    )
    assert (row["seed_min"], row["seed_max"]) == (
        round(min(expected.seed_means), 6), round(max(expected.seed_means), 6)
    )  # fmt: skip
    assert (row["seeds"], row["users"], row["half"]) == (2, 150, "above") and tuple(row) == COMPARISON_COLUMNS


def test_the_better_plain_search_is_the_one_with_the_higher_mean() -> None:
    points = [entry("guided", 0.5), entry("plain", 0.2, training="joint"), entry("plain", 0.4, training="generator")]
    rows = {(row["against"], row["metric"]): row for row in comparisons(points, EVERYONE)}
    for metric in ("recall@10", "ndcg@10"):
        same = [rows[name, metric]["difference"] for name in ("plain_alone", "better_plain")]
        assert same[0] == same[1] < rows["plain", metric]["difference"]
    assert not [row for row in comparisons(points[:2], EVERYONE) if row["against"] == "better_plain"]
    several = [entry("plain", share, seed, training="joint") for seed, share in enumerate((0.5, 0.0, 0.0))]
    guided = [entry("guided", 0.5, seed) for seed in range(3)]
    rows = {row["against"]: row for row in comparisons([*guided, *several, points[2]], EVERYONE)}
    assert rows["better_plain"]["difference"] == rows["plain"]["difference"]  # on the seed that both have


def test_lists_that_are_too_short_and_sweeps_without_guided_search_compare_nothing() -> None:
    assert list(comparisons([entry("plain"), entry("orm")], EVERYONE)) == []
    short = entry("guided", **{"recall@10": None, "ndcg@10": None})
    assert list(comparisons([short, entry("plain")], EVERYONE)) == []


@pytest.mark.parametrize(("split", "users"), [("validation", "null"), ("test", "20")])
def test_halves_are_those_of_a_plain_loop(world: Any, pipeline_of: Callable[..., Any], split: str, users: str) -> None:
    pipeline = pipeline_of("data.order_field=text", f"split={split}", f"evaluation.users={users}")
    halves = users_by_half(pipeline)
    texts = dict(pipeline.interactions.items.select("id", "text").iter_rows())
    back = 1 if split == "test" else 2
    drawn = range(len(pipeline.histories))
    if users != "null":
        drawn = sorted(np.random.default_rng(0).permutation(len(drawn))[:20])
    histories = [world.histories[pipeline.interactions.users[int(user)]] for user in drawn]
    pairs = [(texts[items[-back]], texts[items[-back - 1]]) for items in histories]
    assert halves["all"].tolist() == [True] * len(pairs)
    assert halves["above"].tolist() == [target > last for target, last in pairs]
    assert halves["below"].tolist() == [target < last for target, last in pairs]


def test_items_without_the_field_are_in_no_half(pipeline_of: Callable[..., Any]) -> None:
    full = users_by_half(pipeline_of("data.order_field=text", "split=test"))
    pipeline = pipeline_of("data.order_field=text", "split=test")
    items, lost = pipeline.interactions.items, int(pipeline.histories.targets("test", np.array([0]))[0])
    without = pl.when(pl.int_range(items.height) != lost).then("order").alias("order")
    pipeline.interactions.items = items.with_columns(without)
    halves = users_by_half(pipeline)
    assert not halves["above"][0] and not halves["below"][0]
    assert (halves["above"] <= full["above"]).all() and (halves["below"] <= full["below"]).all()


def test_data_without_the_field_have_no_halves(pipeline_of: Callable[..., Any]) -> None:
    assert list(users_by_half(pipeline_of())) == ["all"]


@pytest.mark.parametrize(("split", "back"), [("test", 1), ("validation", 2)])
def test_targets_tied_with_the_item_before(pipeline_of: Callable[..., Any], split: str, back: int) -> None:
    pipeline = pipeline_of(f"split={split}", "evaluation.users=null")
    events = pipeline.interactions.events
    pipeline.interactions.events = events.with_columns(pl.col("time") // 2)
    times = pipeline.interactions.events.group_by("user", maintain_order=True).agg("time")["time"].to_list()
    halves = users_by_half(pipeline)
    assert list(halves) == ["all", "tied", "untied"]
    assert halves["tied"].tolist() == [each[-back] == each[-back - 1] for each in times]
    assert halves["untied"].tolist() == (~halves["tied"]).tolist()


def test_a_command_makes_its_row_anywhere() -> None:
    given = ["+sweeps=weight", "data=amazon_beauty", "data.root=/home/me/Beauty", "store=/tmp/x", "logger.mode=online"]
    given += ["sweep.seeds=[0]", "checkpoint=../networks.ckpt", "build=never", "trainer=gpu", "search=plain", "seed=5"]
    words = [*given, "search=guided", "search.weight=[0, 0, 0, 1]", "seed=2", "evaluation.remove_seen=true"]
    cfg = configs.compose([word for word in words if not word.startswith(("+sweeps", "sweep.", "search=plain"))])
    point = entry("guided")
    line = command(Entry(point.measured, cfg, "guided", words))
    assert line == (
        "promise evaluate data=amazon_beauty data.root=DIR checkpoint=FILE trainer=gpu search=guided seed=2 "
        "'search.weight=[0, 0, 0, 1]' evaluation.remove_seen=true split=validation"
    )
    composed = configs.compose(shlex.split(line)[2:])
    same = ("search", "seed", "split", "evaluation", "generator", "training")
    assert all(composed[name] == cfg[name] for name in same)
