"""`dry_run=true` says what a sweep would do, and does none of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]
GRIDS = (
    "sweep.name=dry",
    "sweep.grids=[{generator.dim:[16,20],search:plain,search.width:[9]},{search:[guided,popularity]},"
    "{search:plain,search.width:[[6,6]]}]",
)


def test_nothing_is_there(run: Run, tmp_path: Path) -> None:
    said = run("sweep", *GRIDS, "dry_run=true", store=tmp_path).json
    assert [said[name] for name in ("points", "to_run", "there", "trainings")] == [5, 5, 0, {}]
    assert all(each["missing"].startswith("data-") for each in said["plan"])
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}  # Hydra's own folder


def test_points_rows_and_trainings(run: Run) -> None:
    for search in ("plain", "popularity"):
        words = ["search.width=9"] if search == "plain" else []
        run("evaluate", f"search={search}", "evaluation.users=59", *words)
    answer = run("sweep", *GRIDS, "dry_run=true", "evaluation.users=59")
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
