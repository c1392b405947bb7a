"""The drift analysis: measures of a world written out, the table, and the verb from the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.pipeline.drift import COLUMNS, as_table, by_name, measured
from promise.search.options import Level
from promise.tasks.drift import EMPTY, SEARCHES

Run = Callable[..., Any]
YES, NO = True, False


@pytest.fixture
def drift() -> pl.DataFrame:
    """Four users and two levels; user 2 is rescued at level 2, user 1 damaged at both, user 3 never has a chance."""
    columns = (
        *("user", "depth", "first_error", "teacher_forced", "free_running", "proposed", *SEARCHES),
        *("reward_rank", "reward_confidence", "reward_right"),
        *("likelihood_rank", "likelihood_confidence", "likelihood_right"),
    )
    rows: list[tuple[Any, ...]] = [
        (0, 1, 3, YES, YES, YES, YES, YES, YES, None, None, None, 1.0, 0.5, YES),
        (0, 2, 3, YES, YES, YES, YES, YES, YES, 1.0, 0.9, YES, 1.0, 0.5, YES),
        (0, None, 3, None, None, None, YES, YES, YES, *[None] * 6),
        (1, 1, 1, NO, NO, YES, YES, NO, YES, None, None, None, 2.0, 0.5, NO),
        (1, 2, 1, YES, NO, NO, YES, NO, YES, None, None, NO, None, None, NO),
        (1, None, 1, None, None, None, YES, NO, YES, *[None] * 6),
        (2, 1, 1, NO, NO, YES, YES, YES, YES, None, None, None, 4.0, 0.5, NO),
        (2, 2, 1, YES, YES, YES, NO, YES, YES, 2.0, 0.7, NO, 4.0, 0.5, NO),
        (2, None, 1, None, None, None, NO, NO, YES, *[None] * 6),
        (3, 1, 1, NO, NO, NO, NO, NO, NO, None, None, None, None, None, NO),
        (3, 2, 1, NO, NO, NO, NO, NO, NO, None, None, NO, None, None, NO),
        (3, None, 1, None, None, None, NO, NO, NO, *[None] * 6),
    ]
    return pl.DataFrame(rows, schema=columns, orient="row")


LEVELS = [Level(2, 2, 1.0), Level(3, 6, 1.0)]


def test_measures_by_hand(drift: pl.DataFrame) -> None:
    found = by_name(list(measured(drift, [2, 3])), 2)
    expected = {
        "teacher_forced": [0.25, 0.75],
        "free_running": [0.25, 0.5],
        "free_running_prefix": [0.25, 0.25],
        "first_error": [0.75, 0.0],
        "after_error_free_running": [None, 1 / 3],
        "after_error_teacher_forced": [None, 2 / 3],
        "hrecall_plain": [0.75, 0.5],
        "hrecall_guided": [0.5, 0.5],
        "hrecall_oracle": [0.75, 0.75],
        "rescue": [0.0, 0.25],
        "damage": [0.25, 0.25],
        "net_rescue": [-0.25, 0.0],
        "proposal_recall": [0.75, 0.5],
        "reward_median_rank": [None, 1.0],
        "reward_mrr": [None, 0.75],
        "reward_top_width": [None, 1.0],
        "reward_ece": [None, 0.4],
        "likelihood_median_rank": [2.0, 1.0],
        "likelihood_mrr": [1.75 / 3, 0.625],
        "likelihood_top_width": [2 / 3, 0.5],
        "likelihood_ece": [0.5, 0.5],
        "no_error": 0.25,
        "recall@10_plain": 0.5,
        "recall@10_guided": 0.25,
        "recall@10_oracle": 0.75,
        "rescue@10": 0.0,
        "damage@10": 0.25,
        "net_rescue@10": -0.25,
    }
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name] == pytest.approx(values), name


def test_plain_misses_minus_guided_misses_are_rescue_minus_damage() -> None:
    rng = np.random.default_rng(0)
    kept = {name: rng.random(800) < share for name, share in zip(SEARCHES, (0.3, 0.4, 0.6), strict=True)}
    depths = pl.Series([1, 2, 3, None] * 200)
    rest = dict.fromkeys(("teacher_forced", "free_running", "proposed"), kept["plain"])
    record = pl.concat(
        [EMPTY, pl.DataFrame({"first_error": [1] * 800, "depth": depths, **kept, **rest})], how="diagonal"
    )
    found = by_name(list(measured(record, [5, 5, 5])), 3)
    for depth in range(3):
        gained = found["hrecall_guided"][depth] - found["hrecall_plain"][depth]
        assert gained == pytest.approx(found["rescue"][depth] - found["damage"][depth])
        assert gained == pytest.approx(found["net_rescue"][depth])
    gained = found["recall@10_guided"] - found["recall@10_plain"]
    assert gained == pytest.approx(found["rescue@10"] - found["damage@10"]) == pytest.approx(found["net_rescue@10"])
    assert "reward_mrr" not in found  # who was not asked is not measured


def test_the_table_is_long_and_what_is_missing_stays_missing(drift: pl.DataFrame) -> None:
    names = {"data": "toys", "split": "test", "seed": 3, "seen": "keep"}
    measures = list(measured(drift, [2, 3]))
    found = as_table(measures, names, LEVELS)
    assert tuple(found.columns) == COLUMNS and len(found) == len(measures)
    assert found["dataset"].unique().to_list() == ["toys"] and found["seed"].unique().to_list() == [3]
    rows = {(row["depth"], row["measure"]): row for row in found.to_dicts()}
    assert rows[1, "rescue"]["W"] == 2 and rows[2, "rescue"]["C"] == 6 and rows[None, "rescue@10"]["W"] == 3
    assert rows[2, "reward_mrr"]["users"] == 2 and rows[2, "reward_ece"]["low"] is None
    for row in found.filter(pl.col("low").is_not_null()).to_dicts():
        assert row["low"] <= row["value"] <= row["high"]


def test_the_verb(run: Run) -> None:
    words = ["analysis=drift", "search.width=5", "search.expansion=2", "split=test"]
    said = run("evaluate", *words).json
    assert [said[name] for name in ("verb", "analysis", "split", "users", "seed", "seen")] == [
        "evaluate", "drift", "test", 60, 0, "keep",
    ]  # fmt: skip
    assert said["dials"]["search.width"] == 5 and said["dials"]["search.candidates"] == 10
    path = Path(said["paths"]["table"])
    assert path.parent.name.startswith("s3rec-test-0-") and path.parent.parent.name == "drift"
    text = path.read_text()
    assert str(path.parent.parent) not in text and "/" not in text
    svg = Path(said["paths"]["figure_svg"]).read_bytes()
    again = run("evaluate", *words, "build=never").json
    assert again["trained"] == [] and again["measures"] == said["measures"]
    assert path.read_text() == text and Path(said["paths"]["figure_svg"]).read_bytes() == svg
    for search, row in (("guided", ["search.expansion=2"]), ("plain", ["search=plain"])):
        alone = run("evaluate", *row, "search.width=5", "split=test").json
        assert said["measures"][f"hrecall_{search}"] == pytest.approx(alone["hrecall"])


@pytest.mark.parametrize(
    "words",
    [
        "search=orm evaluation.remove_seen=true evaluation.users=20",
        "search.adaptive=entropy search.shuffle_rewards=true evaluation.precision=bf16-mixed evaluation.users=20",
    ],
)
def test_other_searches(run: Run, words: str) -> None:
    found = run("evaluate", "analysis=drift", *words.split()).json["measures"]
    assert all(g <= o for g, o in zip(found["hrecall_guided"], found["hrecall_oracle"], strict=True))


def test_bad_input_is_one_line(run: Run, tmp_path: Path) -> None:
    words = ["analysis=drift", "trainer.devices=2", "trainer.strategy=ddp"]
    assert run("evaluate", *words, store=tmp_path).error == (
        "analysis=drift runs in one process, got 2: use trainer.devices=1"
    )
    assert not (tmp_path / "artifacts").exists() and not (tmp_path / "analyses").exists()
