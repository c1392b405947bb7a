"""`promise sweep`: every point once, as a row, in the table and the figure; failures are rows until retried."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.analysis.report.headline import COMPARISON_COLUMNS, ROW_COLUMNS, read_table
from promise.analysis.results import read_results
from promise.pipeline.points import Point
from tests.wandb_file import finished, items

Run = Callable[..., Any]
GRIDS = (
    "sweep.name=mine",
    "sweep.grids=[{search:plain,search.width:[10,[12,12,12,10]],search.expansion:[1,4]},{search:plain,search.width:[[5,5]]},"
    "{search:guided,search.width:[10],search.expansion:[1,2]},{search:guided,search.width:[10],search.weight:[0]},"
    "{search:exhaustive},{search:popularity,generator.dim:[8,16]}]",
)


def test_a_sweep_from_nothing_and_again(run: Run, tmp_path: Path) -> None:
    answer = run("sweep", *GRIDS, store=tmp_path)
    said = answer.json
    assert {name: said[name] for name in ("verb", "points", "ran", "skipped", "failed", "trained")} == {
        "verb": "sweep", "points": 7, "ran": 6, "skipped": 0, "failed": 1,  # equal points are one row
        "trained": ["data", "embeddings", "ids", "content", "joint"],
    }  # fmt: skip
    assert all(Path(path).is_file() for path in said["paths"].values()) and {"results", "figure"} <= set(said["paths"])
    assert Path(said["paths"]["figure"]).read_bytes().startswith(b"\x89PNG")
    assert "Points" in answer.out and "Findings" in answer.out
    table = read_results(said["paths"]["results"])
    failed, *done = table.to_dicts()
    searches = ["popularity", "plain", "plain", "guided", "guided", "exhaustive"]
    assert [row["search"] for row in done] == searches
    assert [row["search.width"] for row in done] == [None, "10", "[12, 12, 12, 10]", "10", "10", None]
    assert [row["recall@20"] is None for row in done] == [False, True, True, True, True, False]
    assert {"seed", "generator", "search.expansion", "hrecall@1", "flops_per_user"} <= set(table.columns)
    assert failed["error"].startswith("ValueError: search.width has 2 entries") and failed["recall@10"] is None
    assert (failed["status"], failed["search"], failed["search.width"]) == ("failed", "plain", "[5, 5]")
    message = "point search=plain search.width=[5, 5] failed"
    assert f"{message}: search.width has 2 entries" in answer.err and "Traceback" not in answer.err
    words = ("search=guided", "search.width=10", "search.expansion=2", "build=never")
    alone = run("evaluate", *words, store=tmp_path).json
    assert alone["metrics"]["recall@10"] == done[4]["recall@10"]
    found = said["findings"]
    assert "recall@10: guided W=10 C=20 − plain W=10" in [finding["text"] for finding in found]
    assert json.loads(Path(said["paths"]["findings"]).read_text()) == found
    page, first = Path(said["paths"]["report"]).read_text("utf-8"), found[0]
    assert "Sweep mine: s3rec · validation split · 60 users</h1>" in page and "sweep:\n  name: mine" in page
    assert f"{first['low']:+.4f} to {first['high']:+.4f}" in page.partition("</p>")[0]

    again = run("sweep", *GRIDS, "build=never", store=tmp_path)
    assert [again.json[name] for name in ("points", "ran", "skipped", "failed", "trained")] == [7, 0, 6, 1, []]
    assert f"{message} earlier: ValueError: search.width has 2 entries" in again.err
    assert again.json["findings"] == found and read_results(said["paths"]["results"]).equals(table)
    asked = run(
        "sweep", GRIDS[0], "sweep.grids=[{search:plain,search.width:[[5,5]]}]", "retry_failed=true", store=tmp_path
    )
    assert f"{message}: search.width has 2 entries" in asked.err and asked.code == 1


def test_results_of_another_file_or_history_lie_elsewhere_and_say_so(run: Run, world: Any, tmp_path: Path) -> None:
    copy = tmp_path / "other.txt"
    copy.write_text("\n".join((world.folder / "sequences.txt").read_text().splitlines()[1:]) + "\n")
    grids = ("sweep.name=places", "sweep.grids=[{search:popularity}]")
    others = ([], [f"data.sequences={copy}"], ["datamodule.history=5", "generator.history=5"])
    said = [run("sweep", *grids, *words, store=tmp_path).json["paths"]["results"] for words in others]
    assert len(set(said)) == 3 and Path(said[0]).with_name("config.yaml").is_file()
    rows = [read_results(path).row(0, named=True) for path in said]
    assert [row["data_file"].partition(",")[0] for row in rows[:2]] == ["s3rec (sequences.txt", "s3rec (other.txt"]
    assert rows[0]["data_fingerprint"] != rows[1]["data_fingerprint"]
    assert [row["history"] for row in rows] == [20, 20, 5]


def test_a_fault_is_told_with_its_traceback(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Point, keep_answers: bool = False) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(Point, "result", broken)
    answer = run("sweep", "sweep.name=broken", "sweep.grids=[{search:plain}]", store=tmp_path)
    assert answer.code == 1 and "Traceback" in answer.err  # every point failed
    said = json.loads(answer.out.splitlines()[-1])
    assert said["failed"] == 1 and set(said["paths"]) == {"results"}


def test_wandb_gets_a_run_per_point_and_a_summary(run: Run, tmp_path: Path) -> None:
    answer = run(
        "sweep", "sweep.name=charts", "sweep.grids=[{search:[popularity,co_visit]}]", "logger=wandb", store=tmp_path
    )
    runs = list((tmp_path / "wandb").glob("offline-run-*"))
    records = [record.run for run in runs for file in run.glob("*.wandb") for record in finished(file)]
    names = {record.display_name for record in records if record.display_name}
    assert names == {"search=popularity-0", "search=co_visit-0", "charts summary"} and len(runs) == 3
    assert Path(answer.json["paths"]["wandb"]).resolve() in [path.resolve() for path in runs]
    (file,) = Path(answer.json["paths"]["wandb"]).glob("*.wandb")
    (config,) = [items(record.run.config.update) for record in finished(file) if record.HasField("run")][:1]
    assert config["sweep"]["name"] == "charts" and config["points"] == 2
    report = Path(answer.json["paths"]["report"]).read_text()
    assert "Dataset card" in report and "items had before" in report


def test_a_headline_sweep_writes_its_rows_and_comparisons(run: Run) -> None:
    grids = (
        "[{seed:[0,1],search:[popularity,plain,guided]},{search:guided,search.weight:0.5},"
        "{evaluation.remove_seen:true,search:[popularity,plain,guided]}]"
    )
    words = ("sweep.name=head", "sweep.headline=true", f"sweep.grids={grids}", "data.order_field=text")
    answer = run("sweep", *words)
    paths = {name: Path(answer.json["paths"][name]) for name in ("headline", "comparisons", "results")}
    assert len({path.parent for path in paths.values()}) == 1
    table = read_results(paths["results"])
    rows = read_table(paths["headline"], ROW_COLUMNS).to_dicts()
    assert len(rows) == (2 + 1) * 3 * 3  # past items kept by two seeds, removed by one; halves, methods
    assert len(table.filter(search="popularity", seen="keep")) == 1  # no seed moves it
    everyone = {(row["seen"], row["seed"], row["method"]): row["recall@10"] for row in rows if row["half"] == "all"}
    for (seen, seed, method), recall in everyone.items():
        is_it = (pl.col("seen") == seen) & (pl.col("search") == method)
        of_seed = (pl.col("seed") == seed) & (pl.col("search.weight").fill_null(1) != 0.5)
        found = table.row(by_predicate=is_it & (of_seed | (method == "popularity")), named=True)
        assert found["recall@10"] == pytest.approx(recall, abs=1e-6)
    assert "a second point is guided of seed 0; the first one counts" in answer.err
    compared = read_table(paths["comparisons"], COMPARISON_COLUMNS).to_dicts()
    assert len(compared) == 2 * 2 * 3 * 2  # past items, against, halves, metrics
    assert all(each["seeds"] == (2 if each["seen"] == "keep" else 1) for each in compared)
    kept = [each for each in compared if (each["seen"], each["half"], each["metric"]) == ("keep", "all", "recall@10")]
    for each in kept:
        by_seed = [everyone["keep", seed, "guided"] - everyone["keep", seed, each["against"]] for seed in (0, 1)]
        assert each["difference"] == pytest.approx(np.mean(by_seed), abs=1e-5)
        assert (each["seed_min"], each["seed_max"]) == pytest.approx((min(by_seed), max(by_seed)), abs=1e-5)
    said = [found["text"] for found in answer.json["findings"]]
    assert any("seed=1 " in text and text.endswith("− popularity") for text in said)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["+sweeps=smoke", "predictions=x.parquet"], "predictions=x.parquet is for promise evaluate, one"),
        (["+sweeps=smoke", "analysis=drift"], "analysis=drift is for promise evaluate, one search"),
        ([], "promise sweep needs +sweeps=NAME, one of: candidates, "),
        (["sweep.grids=[{search:plain}]"], "sweep.name must be given: it names the folder of the results"),
        (["sweep.name=x", "sweep.grids=[{search:guided}]", "training=generator"], "search.weight=1.0 needs a reward m"),
        (
            ["sweep.name=x", "sweep.grids=[{search:reward_beam}]", "training=generator"],
            "RewardBeam needs a reward model and training=generator trains none: use search=plain",
        ),
        (["sweep.name=x", "sweep.grids=[{search:plain,search.width:[10,0]}]"], "search.width must be an integer >= 1"),
    ],
)  # fmt: skip
def test_a_wrong_sweep_is_one_line(run: Run, tmp_path: Path, words: list[str], message: str) -> None:
    assert run("sweep", *words, store=tmp_path).error.startswith(message)
    assert not (tmp_path / "sweeps").exists() and not (tmp_path / "rows").exists()
