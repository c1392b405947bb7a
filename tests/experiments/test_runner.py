"""Points through a launcher: only what is missing is launched; `dry_run=true` says what that is, and does nothing."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins

from promise.analysis.results import read_results
from promise.experiments import runner
from promise.experiments.grid import SweepPoint

Run = Callable[..., Any]
NAME = "sweep.name=launched"
GRIDS = (NAME, "sweep.grids=[{search:plain,search.width:[10,20,[5,5]]}]")


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is launched, in this process by Hydra's own launcher."""
    seen: list[list[str]] = []
    launch = runner.launch

    def told(points: Sequence[SweepPoint]) -> None:
        seen.append([point.name for point in points])
        launch(points)

    monkeypatch.setattr(runner, "launch", told)
    monkeypatch.setattr("promise.experiments.runner.in_this_process", lambda: False)
    return seen


def test_launched_points(run: Run, tmp_path: Path, launches: list[list[str]]) -> None:
    said = run("sweep", *GRIDS, store=tmp_path).json
    assert [said[name] for name in ("points", "ran", "skipped", "failed")] == [3, 2, 0, 1]
    assert said["trained"] == ["data", "content", "embeddings", "ids", "joint"]
    assert launches == [[f"search=plain search.width={width}" for width in ("10", "20", "[5, 5]")]]
    table = read_results(said["paths"]["results"])
    assert [error is not None for error in table["error"]].count(True) == 1
    launches.clear()
    again = run("sweep", *GRIDS, "build=never", store=tmp_path)
    assert [again.json[name] for name in ("points", "ran", "skipped", "failed", "trained")] == [3, 0, 2, 1, []]
    assert launches == [] and "failed earlier: ValueError: search.width has 2 entries" in again.err
    assert read_results(again.json["paths"]["results"]).equals(table)


def test_a_worker_that_dies_leaves_no_row(run, tmp_path, launches, monkeypatch):
    grids = "sweep.grids=[{search:[popularity,co_visit]}]"

    def dies(shared: int, cfg: Any) -> None:
        raise BrokenPipeError("the worker died\nof this")

    monkeypatch.setattr("promise.experiments.runner.run_job", dies)
    answer = run("sweep", NAME, grids, store=tmp_path)
    assert answer.code == 1
    assert "the job of point search=popularity ended: the worker died of this" in answer.err
    assert "point search=co_visit failed: its job ended without a row" in answer.err
    assert json.loads(answer.out.splitlines()[-1])["failed"] == 2 and not (tmp_path / "failures").exists()
    monkeypatch.undo()
    assert run("sweep", NAME, grids, store=tmp_path).json["ran"] == 2


def test_a_launcher_that_dies_is_told(run, tmp_path, launches, monkeypatch):
    class Dies:
        def launch(self, *jobs: Any, **settings: Any) -> None:
            raise RuntimeError("no cluster")

    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda self, *settings: Dies())
    answer = run("sweep", NAME, "sweep.grids=[{search:popularity}]", store=tmp_path)
    assert answer.code == 1 and "the launcher ended: RuntimeError: no cluster" in answer.err


DRY = (
    "sweep.name=dry",
    "sweep.grids=[{generator.dim:[16,20],search:plain,search.width:[9]},{search:[guided,popularity]},"
    "{search:plain,search.width:[[6,6]]}]",
)


def test_nothing_is_there(run: Run, tmp_path: Path) -> None:
    folder = str(Path(__file__).parent)
    answer = run("sweep", *DRY, "dry_run=true", "--config-dir", folder, store=tmp_path)
    said = answer.json
    assert all(each.startswith(f"promise evaluate --config-dir {folder} ") for each in said["commands"])
    assert "trainings that come first: 0, others not known before promise prepare has made data and IDs" in answer.out
    assert [said[name] for name in ("points", "to_run", "there", "trainings")] == [5, 5, 0, None]
    assert all(each["missing"].startswith("data-") for each in said["plan"])
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}  # Hydra's own folder


def test_points_rows_and_trainings(run: Run) -> None:
    for search in ("plain", "popularity"):
        words = ["search.width=9"] if search == "plain" else []
        run("evaluate", f"search={search}", "evaluation.users=59", *words)
    answer = run("sweep", *DRY, "dry_run=true", "evaluation.users=59")
    said = answer.json
    plan = said["plan"]
    assert [each["state"] for each in plan] == ["there", "to run", "to run", "there", "would fail"]
    assert [each["missing"] is not None for each in plan] == [False, True, False, False, False]
    assert [text.partition(":")[0] for text in said["trainings"].values()] == ["training joint"]
    assert "parameters" in answer.out and said["commands"][-1].startswith("promise evaluate ")
    assert said["commands"][-1].endswith("search=guided") and "dry_run" not in said["commands"][-1]
    error = "search.width has 2 entries, the semantic IDs have 4 levels"
    assert plan[4]["error"] == error
    one = ("sweep.name=dry", "sweep.grids=[{search:plain,search.width:[[6,6]]}]")
    assert run("sweep", *one).code == 1
    (again,) = run("sweep", *one, "dry_run=true").json["plan"]
    assert (again["state"], again["error"]) == ("failed earlier", f"ValueError: {error}")


def test_a_study_has_no_points_to_show(run: Run) -> None:
    error = run("sweep", "+sweeps=tune", "dry_run=true").error
    assert error.startswith("dry_run=true shows the points of sweep.grids; a study chooses its points")
    assert run("train", "dry_run=true").error == "dry_run=true means something to promise sweep alone"
