"""`promise sweep`: every point once, as a row, in the table and the figure; failures are rows; a kill loses no row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from promise.analysis.report.headline import COMPARISON_COLUMNS, ROW_COLUMNS, read_table
from promise.analysis.results import read_results
from promise.pipeline.points import Point
from tests.wandb_file import finished, items

Run = Callable[..., Any]
GRIDS = (
    "sweep.name=mine",
    "sweep.grids=[{search:plain,search.width:[10,20]},{search:guided,search.width:[10],search.expansion:[1,2]},"
    "{search:exhaustive,search.weight:[0,1]},{search:[popularity,co_visit]}]",
)


def test_a_sweep_from_nothing_and_again(run: Run, tmp_path: Path) -> None:
    answer = run("sweep", *GRIDS, store=tmp_path)
    said = answer.json
    assert {name: said[name] for name in ("verb", "points", "ran", "skipped", "failed", "trained")} == {
        "verb": "sweep", "points": 8, "ran": 8, "skipped": 0, "failed": 0,
        "trained": ["data", "embeddings", "ids", "content", "joint"],
    }  # fmt: skip
    assert all(Path(path).is_file() for path in said["paths"].values()) and {"results", "figure"} <= set(said["paths"])
    assert Path(said["paths"]["figure"]).read_bytes().startswith(b"\x89PNG")
    assert "Points" in answer.out and "Findings" in answer.out
    table = read_results(said["paths"]["results"])
    assert table["search"].to_list() == [
        "popularity", "co_visit", "plain", "plain", "guided", "guided", "exhaustive", "exhaustive"
    ]  # fmt: skip
    assert table["search.width"].to_list() == [None, None, 10, 20, 10, 10, None, None]
    assert table["search.candidates"].to_list()[2:6] == [10, 20, 10, 20]
    assert table["recall@20"].is_null().to_list() == [False, False, True, False, True, True, False, False]
    assert table["status"].unique().to_list() == ["done"]
    assert {"seed", "generator", "search.expansion", "search.weight", "hrecall@1", "flops_per_user"} <= set(
        table.columns
    )
    alone = run(
        "evaluate", "search=guided", "search.width=10", "search.expansion=2", "build=never", store=tmp_path
    ).json
    assert alone["metrics"]["recall@10"] == table["recall@10"][5]
    texts = [finding["text"] for finding in said["findings"]]
    assert "recall@10: guided W=10 C=20 − plain W=10" in texts
    assert json.loads(Path(said["paths"]["findings"]).read_text()) == said["findings"]
    again = run("sweep", *GRIDS, "build=never", store=tmp_path).json
    assert [again[name] for name in ("points", "ran", "skipped", "failed", "trained")] == [8, 0, 8, 0, []]
    assert again["findings"] == said["findings"]
    assert read_results(said["paths"]["results"]).equals(table)


def test_results_of_another_file_or_history_lie_elsewhere_and_say_so(run: Run, world: Any, tmp_path: Path) -> None:
    copy, allow = tmp_path / "other.txt", tmp_path / "allow.txt"
    copy.write_text("\n".join((world.folder / "sequences.txt").read_text().splitlines()[1:]) + "\n")
    allow.write_text("7\n10\n13\n")
    grids = ("sweep.name=places", "sweep.grids=[{search:popularity}]")
    history = ("datamodule.history=5", "generator.history=5")
    others = (
        [],
        [f"data.sequences={copy}"],
        history,
        [f"evaluation.allow={allow}"],
        ["sweep.grids=[{search:co_visit}]"],
    )
    said = [run("sweep", *grids, *words, store=tmp_path).json["paths"]["results"] for words in others]
    again = [run("sweep", *grids, *words, store=tmp_path).json["paths"]["results"] for words in others]
    assert again == said and len(set(said)) == 5
    rows = [read_results(path).row(0, named=True) for path in said]
    assert [row["data_file"].partition(",")[0] for row in rows[:2]] == ["s3rec (sequences.txt", "s3rec (other.txt"]
    assert rows[0]["data_fingerprint"] != rows[1]["data_fingerprint"] and rows[0]["data_fingerprint"].startswith(
        "sha256"
    )
    assert [row["history"] for row in rows[:3]] == [20, 20, 5]
    assert Path(said[0]).with_name("config.yaml").is_file()


def test_what_was_killed_goes_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Point] = []
    result = Point.result

    def third_is_the_last(self: Point, keep_answers: bool = False) -> Any:
        asked.append(self)
        if len(asked) == 3:
            raise SystemExit(137)
        return result(self, keep_answers)

    monkeypatch.setattr(Point, "result", third_is_the_last)
    assert run("sweep", *GRIDS, store=tmp_path).code == 137
    monkeypatch.undo()
    said = run("sweep", *GRIDS, store=tmp_path).json
    assert [said[name] for name in ("ran", "skipped", "failed", "trained")] == [6, 2, 0, []]


def test_a_failing_point_is_a_row(run: Run) -> None:
    grids = "sweep.grids=[{search:plain,search.width:[10,[5,5]]},{search:popularity}]"
    answer = run("sweep", "sweep.name=failing", grids, "retry_failed=true")
    said = answer.json
    assert (said["points"], said["failed"]) == (3, 1)
    rows = {row["status"]: row for row in read_results(said["paths"]["results"]).to_dicts()}
    assert rows["failed"]["error"].startswith("ValueError: search.width has 2 entries")
    assert rows["failed"]["search"] == "plain" and rows["failed"]["search.width"] == "[5, 5]"
    assert rows["failed"]["recall@10"] is None and rows["done"]["error"] is None
    assert "point search=plain search.width=[5, 5] failed: search.width has 2 entries" in answer.err
    assert "Traceback" not in answer.err


def test_a_fault_is_told_with_its_traceback(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Point, keep_answers: bool = False) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(Point, "result", broken)
    answer = run("sweep", "sweep.name=broken", "sweep.grids=[{search:plain}]", store=tmp_path)
    assert answer.code == 1 and "Traceback" in answer.err  # every point failed
    said = json.loads(answer.out.splitlines()[-1])
    assert said["failed"] == 1 and set(said["paths"]) == {"results"}


def test_equal_points_are_one_row(run: Run) -> None:
    same = "{search:plain,search.expansion:[1,4]},{search:guided,search.weight:[0]}"
    grids = f"[{same},{{search:popularity,generator.dim:[8,16]}}]"
    said = run("sweep", "sweep.name=equal", f"sweep.grids={grids}").json
    assert said["points"] == 2 == len(read_results(said["paths"]["results"]))
    assert said["ran"] + said["skipped"] == 2


def test_per_level_dials(run: Run) -> None:
    grids = "[{search:[plain,guided],search.width:[[12,12,12,10],10]}]"
    said = run("sweep", "sweep.name=levels", f"sweep.grids={grids}").json
    assert said["failed"] == 0
    table = read_results(said["paths"]["results"])
    assert sorted(table["search.width"].to_list()) == ["10", "10", "[12, 12, 12, 10]", "[12, 12, 12, 10]"]


def test_wandb_gets_a_run_per_point_and_a_summary(run: Run, tmp_path: Path) -> None:
    grids = "sweep.grids=[{search:plain,search.width:[10,20]}]"
    answer = run("sweep", "sweep.name=charts", grids, "logger=wandb", store=tmp_path)
    runs = list((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 4  # training, two points, summary
    records = [record.run for run in runs for file in run.glob("*.wandb") for record in finished(file)]
    names = {record.display_name for record in records if record.display_name}
    assert {"search=plain search.width=10-0", "search=plain search.width=20-0", "charts summary"} < names
    assert Path(answer.json["paths"]["wandb"]).resolve() in [path.resolve() for path in runs]
    (file,) = Path(answer.json["paths"]["wandb"]).glob("*.wandb")
    (config,) = [items(record.run.config.update) for record in finished(file) if record.HasField("run")][:1]
    assert config["sweep"]["name"] == "charts" and config["points"] == 2


def test_the_report_says_what_was_found(run: Run) -> None:
    said = run("sweep", *GRIDS).json
    text = Path(said["paths"]["report"]).read_text("utf-8")
    difference = said["findings"][0]
    assert "Sweep mine: s3rec · validation split · 60 users</h1>" in text
    assert difference["text"].partition(" − ")[0].removeprefix("recall@10: ") in text.partition("</p>")[0]
    assert f"{difference['low']:+.4f} to {difference['high']:+.4f}" in text.partition("</p>")[0]
    assert "promise sweep data=s3rec" in text and "sweep:\n  name: mine" in text


def test_a_headline_sweep_writes_its_rows_and_comparisons(run: Run) -> None:
    grids = "[{evaluation.remove_seen:[false,true],search:[popularity,plain,guided]},{search:guided,search.weight:0.5}]"
    words = ("sweep.name=head", "sweep.headline=true", f"sweep.grids={grids}", "data.order_field=text")
    answer = run("sweep", *words)
    paths = {name: Path(answer.json["paths"][name]) for name in ("headline", "comparisons", "results")}
    assert len({path.parent for path in paths.values()}) == 1
    table = read_results(paths["results"])
    rows = read_table(paths["headline"], ROW_COLUMNS).to_dicts()
    assert len(rows) == 2 * 3 * 3  # past items, halves, methods
    everyone = {(row["seen"], row["method"]): row["recall@10"] for row in rows if row["half"] == "all"}
    for (seen, method), recall in everyone.items():
        found = table.row(by_predicate=(pl.col("seen") == seen) & (pl.col("search") == method)
                          & (pl.col("search.weight").fill_null(1) != 0.5), named=True)  # fmt: skip
        assert found["recall@10"] == pytest.approx(recall, abs=1e-6)
    assert "a second point is guided of seed 0; the first one counts" in answer.err
    compared = read_table(paths["comparisons"], COMPARISON_COLUMNS).to_dicts()
    assert len(compared) == 2 * 2 * 3 * 2  # past items, against, halves, metrics
    again = paths["headline"].read_bytes(), paths["comparisons"].read_bytes()
    run("sweep", *words, "build=never")
    assert (paths["headline"].read_bytes(), paths["comparisons"].read_bytes()) == again


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["+sweeps=candidates", "predictions=x.parquet"], "predictions=x.parquet is for promise evaluate, one"),
        (["+sweeps=candidates", "analysis=drift"], "analysis=drift is for promise evaluate, one search"),
        ([], "promise sweep needs +sweeps=NAME, one of: candidates, "),
        (["sweep.grids=[{search:plain}]"], "sweep.name must be given: it names the folder of the results"),
        (["+sweeps=candidates", "search=plain", "training=generator"], "search.weight=1.0 needs a reward model"),
        (["sweep.name=x", "sweep.grids=[{search:plain,search.width:[10,0]}]"], "search.width must be an integer >= 1"),
    ],
)  # fmt: skip
def test_a_wrong_sweep_is_one_line(run: Run, tmp_path: Path, words: list[str], message: str) -> None:
    assert run("sweep", *words, store=tmp_path).error.startswith(message)
    assert not (tmp_path / "sweeps").exists() and not (tmp_path / "rows").exists()


def test_an_unknown_sweep(run: Run, tmp_path: Path) -> None:
    error = run("sweep", "+sweeps=widht", store=tmp_path).error
    assert error.startswith("+sweeps must be one of candidates, ") and error.endswith("(did you mean width?)")
