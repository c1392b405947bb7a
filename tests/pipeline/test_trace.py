"""The tables of one user's trace, on the tiny world."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from promise.api import open_point
from promise.pipeline.drift import recorded
from promise.pipeline.trace import MARK, TARGET, UserTrace, rescued_user, trace_user

WORDS = ("search=guided", "search.width=3", "search.expansion=4", "analysis=drift")


@pytest.fixture(scope="module")
def opened(world: Any, shared_store: Path) -> Callable[..., Any]:
    return lambda *words: open_point([*world.words, f"store={shared_store}", *words])


@pytest.fixture(scope="module")
def trace(opened: Callable[..., Any]) -> UserTrace:
    return trace_user(opened(*WORDS), 4)


def test_the_way_of_the_target(trace: UserTrace) -> None:
    table, target = trace.levels, trace.target
    codes = trace.pipeline.ids.codes[target]
    assert table["prefix"].to_list() == ["-".join(map(str, codes[:depth])) for depth in range(1, len(codes) + 1)]
    assert table["log_prob"].drop_nulls().is_sorted(descending=True)
    assert (trace.prefixes["log_prob"].is_not_null() | trace.prefixes["target"]).all()
    for row in table.to_dicts():
        assert {row["plain"], row["guided"]} <= {MARK, "lost"}
        assert (row["guided"] == MARK) == (row["place_by_reward"] is not None and row["place_by_reward"] <= 3)
        if row["plain"] == "lost" and row["level"] == 1 and row["log_prob"] is not None:
            assert row["log_prob"] < row["last_kept"]


def test_it_is_what_the_drift_analysis_records(opened: Callable[..., Any]) -> None:
    point = opened(*WORDS)
    drift, _ = recorded(point)
    for user in range(0, 60, 7):
        own = trace_user(point, user).prefixes.filter("target")
        seen = drift.filter(pl.col("depth").is_not_null(), user=user)
        for name, column in (("plain", "plain"), ("guided", "guided"), ("candidate", "proposed")):
            assert own[name].to_list() == seen[column].to_list()


def test_what_is_kept_in_words(trace: UserTrace) -> None:
    most = trace.levels["level"].max()
    for depth in range(1, most + 1):
        level, table = trace.prefixes.filter(level=depth), trace.kept(depth)
        assert (table["guided"] == MARK).sum() == 3 == (table["plain"] == MARK).sum()
        assert (table[""] == TARGET).sum() == 1 and table["reward"].is_sorted(descending=True)
        assert len(table) == (level["plain"] | level["guided"] | level["target"]).sum()
        changed = table.filter((pl.col("plain") != pl.col("guided")) | (pl.col("") == TARGET))
        assert trace.kept(depth, both=False).equals(changed)
    assert table["items"].to_list() == [1] * len(table)
    texts = trace.pipeline.interactions.items["text"]
    assert table.filter(pl.col("") == TARGET)["holds"][0] == texts[trace.target]
    for depth in (0, most + 1):
        with pytest.raises(ValueError, match=rf"^depth must lie in 1\.\.{most}, got {depth}$"):
            trace.kept(depth)


def test_answers_and_the_figures_table(trace: UserTrace) -> None:
    answers = trace.answers
    assert answers.columns == ["rank", "plain", "plain hit", "guided", "guided hit"] and len(answers) == 3
    hits = [item == trace.target for item in trace.returned["guided"]]
    assert (answers["guided hit"] == TARGET).to_list() == hits
    rows = trace.prefixes
    assert rows.group_by("level").agg(pl.col("target", "guided").sum())["target"].to_list() == [1] * 4


def test_the_tree_has_all_ways_that_it_shows(trace: UserTrace) -> None:
    tree, levels = trace.tree(), trace.pipeline.trie.levels
    places = set(tree.select("level", "node").rows())
    assert len(places) == len(tree)
    above = tree.filter(pl.col("level") > 1).select(pl.col("level") - 1, "parent").rows()
    assert set(above) <= places
    own = tree.filter("target")
    assert own["level"].to_list() == [*range(1, levels + 1)] and own["items"][-1] == 1
    assert own["holds"][-1] == trace.pipeline.interactions.items["text"][trace.target]
    leaves = set(tree.filter(level=levels)["node"])
    assert leaves >= {trace.node(levels, item) for item in trace.returned["guided"][:4] + trace.returned["plain"][:2]}
    cut = trace.prefixes.filter(pl.col("candidate") & ~pl.col("guided"), level=2).sort("log_prob", descending=True)
    assert (2, cut["node"][0]) in places
    met = tree.join(trace.prefixes, on=["level", "node"])
    assert met["log_prob"].equals(met["log_prob_right"]) and len(met) == len(tree)


def test_wrong_input(opened: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"^a trace needs search=guided with search\.weight > 0, got promise\.\S+$"):
        trace_user(opened("search=plain"), 0)
    with pytest.raises(ValueError, match=r"^user must lie in 0\.\.59, got 60$"):
        trace_user(opened(*WORDS), 60)


def drift(plain: list[list[int]], listed: list[int], places: list[float]) -> pl.DataFrame:
    """Users 10, 11, ...: what the plain beam keeps at three levels, whom guided search lists, the last place."""
    rows: list[tuple[object, ...]] = []
    for user, (kept, found, place) in enumerate(zip(plain, listed, places, strict=False), 10):
        rows += [(user, depth, bool(hit), None, place) for depth, hit in enumerate(kept, 1)]
        rows.append((user, None, None, bool(found), None))
    return pl.DataFrame(rows, schema=["user", "depth", "plain", "guided", "reward_rank"], orient="row")


def test_whom_a_trace_is_shown_for() -> None:
    kept = [[1, 1, 1], [0, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert rescued_user(drift(kept, [1, 1, 1, 1, 1], [1, 1, 3, 2, 1])) == 13  # lost at level 2, and the best of those
    assert rescued_user(drift(kept, [1, 1, 1, 1, 1], [1, 1, 2, 2, 1])) == 12  # the first of equal ones
    assert rescued_user(drift(kept, [1, 1, 0, 0, 1], [1, 1, 2, 2, 9])) == 14  # rather at level 3 than at level 1
    assert rescued_user(drift(kept[:2], [1, 1], [1, 5])) == 11
    with pytest.raises(ValueError, match=r"^of 2 users guided search lists no target that the plain beam loses$"):
        rescued_user(drift(kept[:2], [1, 0], [1, 1]))
