"""`promise sweep` with a study: from the space to the experiment file, resumed, and every wrong input one line."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from promise.analysis.results import read_results

Run = Callable[..., Any]
TUNE = ("+sweeps=tune", "evaluation.users=40", "sweep.study.trials=2")
SPACE = "+sweep.study.space="


def test_a_study_from_space_to_experiment_file(run: Run, run_bare: Run, shared_store: Path) -> None:
    named = (*TUNE, "sweep.study.name=mine")
    answer = run("sweep", *named)
    said = answer.json
    assert (said["points"], said["ran"], said["skipped"], said["failed"]) == (2, 2, 0, 0)
    assert said["study"] == "mine" and Path(said["paths"]["results"]).parent.name == "mine"
    assert {"results", "study", "experiment", "figure", "figure_svg"} <= set(said["paths"])
    assert all(Path(path).is_file() for path in said["paths"].values())
    assert "Front: no trial is better in both" in answer.out and "2 of 2 trials" in answer.out
    table = read_results(said["paths"]["results"])
    assert sorted(table["trial"]) == [0, 1] and table["status"].unique().to_list() == ["done"]

    again = run("sweep", *named, "build=never").json
    assert (again["points"], again["ran"], again["skipped"], again["trained"]) == (2, 0, 2, [])
    assert again["front"] == said["front"] and again["best"] == said["best"]

    folder = Path(said["paths"]["results"]).parent
    (typed,) = (line for line in answer.out.splitlines() if line.startswith("promise evaluate"))
    assert f"--config-dir {folder} experiment=knee" in typed and typed.endswith("split=test")
    words = ("--config-dir", str(folder), "experiment=knee", f"store={shared_store}", "logger=csv", "build=never")
    alone = run_bare("evaluate", *words, "evaluation.users=40").json
    best = table.row(by_predicate=pl.col("trial") == said["best"]["trial"], named=True)
    assert alone["trained"] == []
    assert alone["metrics"] == {name: said["best"][name] for name in alone["metrics"]}
    assert alone["cost"]["flops_per_user"] == best["flops_per_user"]

    error = run("sweep", *named, "search.temperature=2", "datamodule.batch_size=5").error
    told = "datamodule.batch_size=128 and not 5, search.temperature=1.0 and not 2"
    assert error == f"sweep.study.name=mine is a study with {told}: give this one another name"


@pytest.mark.parametrize("place", ["--config-dir {}", "hydra.searchpath=[file://{}]"])
@pytest.mark.parametrize(
    "study",
    [
        ("sweep", *TUNE, "sweep.study.trials=1"),
        ("evaluate", "-m", "hydra/sweeper=promise_optuna", "hydra.sweeper.trials=1", "search.width=10,11"),
    ],
)
def test_the_command_of_the_knee_finds_options_of_ones_own(
    run: Run, run_bare: Run, tmp_path: Path, place: str, study: tuple[str, ...]
) -> None:
    (tmp_path / "reward").mkdir()
    (tmp_path / "reward" / "mine.yaml").write_text("defaults: [dot]\n")
    verb, *words = study
    answer = run(verb, *place.format(tmp_path).split(), *words, "reward=mine", "evaluation.users=40")
    (typed,) = (line for line in answer.out.splitlines() if line.startswith("promise evaluate"))
    assert run_bare(*shlex.split(typed)[1:]).json["dials"]["reward"] == "mine"


def test_one_objective_and_a_failure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from promise.pipeline.points import Point

    result = Point.result

    def failing(point: Point, *words: Any) -> Any:
        if point.dials["width"] == 12:
            raise OSError("no room")
        return result(point, *words)

    monkeypatch.setattr(Point, "result", failing)
    answer = run(
        "sweep", "sweep.name=ndcg", "+study@sweep.study=optuna", "evaluation.users=40", "sweep.study.trials=8",
        "sweep.study.objectives=[ndcg@10]", "sweep.study.sampler=random",
        SPACE + "{search.width:[12,10,20]}",
    )  # fmt: skip
    said = answer.json
    assert said["points"] == 3 and said["failed"] == 1 and said["study"].startswith("s3rec-validation-0-random-")
    assert Path(said["paths"]["experiment"]).name == "best.yaml"
    table = read_results(said["paths"]["results"])
    failed = table.filter(pl.col("status") == "failed")
    assert failed["search.width"].to_list() == [12] and failed["error"].to_list() == ["OSError: no room"]
    assert "1 failed" in answer.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([SPACE + "{search.widht:[10,20]}"], "search.widht: unknown; did you mean search.width?"),
        ([SPACE + "{search.width:{low:0,high:9,log:false}}"], "search.width must be an integer >= 1, got 0"),
        (["split=test"], "sweep.study tunes on validation targets alone, got split=test"),
        (["sweep.study.parallel=2"], "promise sweep runs the trials of a study one after the other"),
        (["launcher=joblib"], "promise sweep runs the trials of a study one after the other"),
        ([SPACE + "{split:[validation,test]}"], "sweep.study tunes on validation targets alone, got split="),
    ],
)  # fmt: skip
def test_a_wrong_study_is_one_line_before_any_training(run, tmp_path, words, message):
    assert run("sweep", *TUNE, *words, store=tmp_path).error.startswith(message)
    assert not (tmp_path / "artifacts").exists() and not (tmp_path / "rows").exists()
