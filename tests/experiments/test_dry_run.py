"""`dry_run=true` says what a sweep would do, and does none of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
GRIDS = (
    "sweep.name=dry",
    "sweep.grids=[{generator.dim:[16,24],search:plain,search.width:[10]},{search:[guided,popularity,sasrec]}]",
)


def test_points_rows_and_trainings(run: Run, tmp_path: Path) -> None:
    nothing = run("sweep", *GRIDS, "dry_run=true", store=tmp_path)
    said = nothing.json
    assert [said[name] for name in ("points", "to_run", "there", "trainings")] == [5, 5, 0, {}]
    assert all(each["missing"].startswith("data-") for each in said["plan"])
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}  # Hydra's own folder
    run("prepare", store=tmp_path)
    run("evaluate", "search=plain", "search.width=10", store=tmp_path)
    answer = run("sweep", *GRIDS, "dry_run=true", store=tmp_path)
    said = answer.json
    assert [each["state"] for each in said["plan"]] == ["there", "to run", "to run", "there", "to run"]
    assert [each["missing"] is not None for each in said["plan"]] == [False, True, False, False, True]
    assert sorted(text.partition(":")[0] for text in said["trainings"].values()) == [
        "training joint",
        "training sasrec",
    ]
    assert "parameters" in answer.out and len(said["commands"]) == 3
    assert said["commands"][1].startswith("promise evaluate ") and said["commands"][1].endswith("search=guided")
    assert "dry_run" not in said["commands"][1]


def test_a_point_that_would_fail_is_told(run: Run, tmp_path: Path) -> None:
    words = ("sweep.name=dry", "sweep.grids=[{search:plain,search.width:[[5,5]]}]")
    run("train", store=tmp_path)
    error = "search.width has 2 entries, the semantic IDs have 4 levels"
    states = []
    for _ in range(2):
        states.append(run("sweep", *words, "dry_run=true", store=tmp_path).json["plan"][0])
        assert run("sweep", *words, store=tmp_path).code == 1
    assert [(each["state"], each["error"]) for each in states] == [
        ("would fail", error), ("failed earlier", f"ValueError: {error}")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        (
            "sweep",
            ["+sweeps=tune", "dry_run=true"],
            "dry_run=true shows the points of sweep.grids; a study chooses its",
        ),
        ("train", ["dry_run=true"], "dry_run=true means something to promise sweep alone"),
        ("sweep", ["dry_run=maybe"], "dry_run must be true or false, got maybe"),
    ],
)
def test_what_has_no_points_to_show(run: Run, verb: str, words: list[str], message: str) -> None:
    assert run(verb, *words).error.startswith(message)
