"""`promise evaluate`: the JSON contract, what is reused, every search, and bad input in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promise.pipeline.points import Point

Run = Callable[..., Any]
CHOICES = {"data": "s3rec", "generator": "tiny", "reward": "dot", "training": "joint"}
METRICS = [*(f"recall@{k}" for k in (5, 10, 20, 50, 100, 500)), *(f"ndcg@{k}" for k in (5, 10, 20))]


def test_the_contract(run: Run) -> None:
    answer = run("evaluate", "search.width=10", "split=test")
    said = answer.json
    assert [line for line in answer.out.splitlines() if line.startswith("{")] == [json.dumps(said)]
    assert {
        "verb", "split", "users", "seed", "seen", "dials", "metrics", "intervals", "baselines", "hrecall",
        "invalid_rate", "duplicate_rate", "parameters", "cost", "trained", "paths",
    } <= set(said)  # fmt: skip
    assert [said[name] for name in ("verb", "split", "users", "seed", "seen")] == ["evaluate", "test", 60, 0, "keep"]
    assert list(said["metrics"]) == METRICS == list(said["intervals"])
    for name in METRICS:
        value, interval = said["metrics"][name], said["intervals"][name]
        if not name.endswith(("@5", "@10")):
            assert value is None and interval is None
        else:
            assert 0 <= interval[0] <= value <= interval[1] <= 1
    assert set(said["baselines"]) == {"popularity", "co_visit"}
    assert all(None not in baseline.values() and list(baseline) == METRICS for baseline in said["baselines"].values())
    assert Path(said["paths"]["row"]).is_file()
    assert len(said["hrecall"]) >= 3 and said["hrecall"] == sorted(said["hrecall"], reverse=True)
    assert said["hrecall"][-1] <= said["recall_ceiling"] <= said["hrecall"][-2]
    assert said["hrecall"][-1] == pytest.approx(said["metrics"]["recall@10"])
    assert set(said["cost"]) == {"flops_per_user", "decoder_tokens_per_user", "prm_paths_per_user", "seconds"}
    assert min(said["cost"].values()) > 0
    assert said["dials"] == {
        "search": "guided", "generator": "tiny", "reward": "dot", "training": "joint", "search.width": 10,
        "search.candidates": 100, "search.expansion": 10, "search.weight": 1, "search.temperature": 1,
        "search.control": "none",
    }  # fmt: skip


def test_bad_dials_are_one_line_and_leave_nothing(run: Run, tmp_path: Path) -> None:
    garbage, store = tmp_path / "garbage", tmp_path / "store"
    garbage.write_bytes(b"garbage" * 99)
    for words, message in (
        (f"checkpoint={garbage}", f"checkpoint={garbage} is a file: it must name a model folder"),
        (f"predictions={garbage}/p.parquet", f"predictions={garbage}/p.parquet cannot be written: Not a directory"),
        ("training=generator", "search.weight=1.0 needs a reward model and training=generator trains none: "),
        (f"ids.path={garbage}", f"ids.path: {garbage} holds no semantic"),
    ):
        assert run("evaluate", *words.split(), store=store).error.startswith(message)
    error = run("evaluate", "trainer.strategy=ddp", "-m", store=store).error
    assert error.endswith("use trainer.strategy=ddp_spawn, or one torchrun per point (dry_run=true lists them)")
    assert not (store / "artifacts").exists() and not (store / "rows").exists()


@pytest.mark.filterwarnings("ignore:ids.codes clamped")
def test_files_that_do_not_fit(run: Run, tmp_path: Path) -> None:
    made = run("train").json["paths"]
    few = tmp_path / "few.txt"
    few.write_text("a 7 10 11 7 10\nb 10 11 7 10\nc 11 10 7\n")
    files = [f"data.sequences={few}", "data.items=null"]
    error = run("evaluate", *files, f"ids.path={made['ids']}", store=tmp_path / "one").error
    assert error.endswith("has 40 items, the data have 3")
    for verb, more in (("evaluate", []), ("sweep", ["sweep.name=x", "sweep.grids=[{search:plain}]"])):
        error = run(verb, *files, *more, f"checkpoint={made['model']}", store=tmp_path / verb).error
        assert error.endswith("does not know 1 of 3 items of the data, first 11")
        assert not (tmp_path / verb / "rows").exists()
    assert run("evaluate", "build=never", store=tmp_path / "never").error.startswith("build=never, but data (data-")


@pytest.mark.filterwarnings("ignore:ids.codes clamped")
@pytest.mark.parametrize(
    "lines",
    [
        "a 1 2 3 4\nb 2 3 4 5 1\nc 5 4 3 2\nd 1 1 1 1 1\n",
        "a 1 2 1 2 1\nb 2 1 2 1\n",
        f"a {' '.join(str(i % 7) for i in range(300))}\nb 1 2 3 4\n",
    ],
    ids=["five items", "two items", "a long history"],
)
def test_tiny_catalogues(pipeline_of: Callable[..., Any], tmp_path: Path, lines: str) -> None:
    (tmp_path / "tiny.txt").write_text(lines)
    files = [f"data.sequences={tmp_path / 'tiny.txt'}", "data.items=null", "ids.codes=256"]
    for search, remove in (("guided", False), ("orm", True), ("exhaustive", False)):
        pipeline = pipeline_of(*files, f"search={search}", f"evaluation.remove_seen={remove}", store=tmp_path)
        row = Point(pipeline, pipeline.cfg.search, CHOICES | {"search": search}).result()[0].row
        assert row["invalid_rate"] == row["duplicate_rate"] == 0
        assert remove or row["recall@10"] == 1.0  # fewer items than that


def test_nothing_to_train_on(run: Run, tmp_path: Path) -> None:
    (tmp_path / "three.txt").write_text("a 7 10 13\nb 13 10 7\n")
    error = run("evaluate", f"data.sequences={tmp_path / 'three.txt'}", store=tmp_path).error
    assert error == "there is nothing to train on: every user has only 3 interactions"
