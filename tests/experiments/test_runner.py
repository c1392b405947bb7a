"""Points through a launcher: only what is missing is launched, and every outcome is in the store."""

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
