"""`dry_run=true` says what a sweep would do, estimates it, and does none of it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promise.experiments.dry_run import UNKNOWN
from promise.experiments.estimates import Untrained, untrained
from promise.pipeline.points import Point

Run = Callable[..., Any]
GRIDS = (
    "sweep.name=dry",
    "sweep.grids=[{generator.dim:[16,24],search:plain,search.width:[10]},{search:[guided,popularity,sasrec]}]",
)


def test_nothing_is_there_yet(run: Run, tmp_path: Path) -> None:
    answer = run("sweep", *GRIDS, "dry_run=true", store=tmp_path)
    said = answer.json
    assert [said[name] for name in ("points", "to_run", "there", "to_train", "minutes")] == [5, 5, 0, 3, None]
    assert [(each["name"], each["artifact"]) for each in said["networks"]] == [("joint", None)] * 2 + [("sasrec", None)]
    assert UNKNOWN in answer.out
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}  # Hydra's own folder


def test_what_is_prepared_is_estimated_and_what_is_there_is_told(run: Run, tmp_path: Path) -> None:
    run("prepare", store=tmp_path)
    before = run("sweep", *GRIDS, "dry_run=true", store=tmp_path).json
    assert [each["there"] for each in before["artifacts"]] == [True] * 4
    assert [before[name] for name in ("to_run", "to_train")] == [5, 3]
    assert before["minutes"] > 0 and before["flops"] > 0
    assert before["flops"] == pytest.approx(math.fsum(part["flops"] for part in before["plan"]))
    assert all(network["parameters"] > 0 for network in before["networks"])
    ran = run("evaluate", "search=plain", "search.width=10", store=tmp_path).json
    after = run("sweep", *GRIDS, "dry_run=true", store=tmp_path).json
    # popularity is a baseline of `evaluate`
    assert [each["state"] for each in after["plan"]].count("there") == 2 == after["there"]
    assert [each["there"] for each in after["networks"]] == [True, False, False]
    assert after["networks"][0]["artifact"].startswith("joint-") and after["to_train"] == 2
    (guided,) = (each for each in after["plan"] if each["point"] == ["search=guided"])
    plain = before["plan"][0]
    assert plain["point"] == ["generator.dim=16", "search=plain", "search.width=10"]
    assert plain["flops_per_user"] >= ran["cost"]["flops_per_user"] and guided["flops"] > plain["flops"]
    commands = [command for command in after["commands"] if command.endswith("search=guided")]
    assert commands and commands[0].startswith("promise evaluate ") and "dry_run" not in commands[0]


def test_a_point_that_would_fail_is_told(run: Run) -> None:
    grids = "sweep.grids=[{search:plain,search.width:[[5,5]]}]"
    run("train")
    answer = run("sweep", "sweep.name=dry", grids, "dry_run=true")
    error = "search.width has 2 entries, the semantic IDs have 4 levels"
    assert answer.json["plan"][0]["error"] == error and f"would fail: {error}" in answer.out
    assert run("sweep", "sweep.name=dry", grids).code == 1
    answer = run("sweep", "sweep.name=dry", grids, "dry_run=true")
    assert answer.json["failed_earlier"] == 1 and f"failed earlier: ValueError: {error}" in answer.out


@pytest.mark.parametrize("search", ["guided", "plain", "exhaustive", "best_of_n", "popularity"])
def test_estimates_are_upper_ends_of_what_is_run(pipeline_of: Callable[..., Any], search: str) -> None:
    words = (f"search={search}", "evaluation.users=20")
    chosen = {"data": "s3rec", "search": search, "generator": "tiny", "reward": "dot", "training": "joint"}
    pipeline = pipeline_of(*words)
    row = Point(pipeline, pipeline.cfg.search, chosen).result()[0].row
    rough = Untrained(untrained(pipeline.cfg))
    flops = rough.search_flops(Point(rough, pipeline.cfg.search, chosen))
    if search == "popularity":
        assert flops == 0
    else:
        assert 0.8 * row["flops_per_user"] <= flops / 20 <= 4 * row["flops_per_user"]


def test_a_study_has_no_points_to_show(run: Run) -> None:
    assert run("sweep", "+sweeps=tune", "dry_run=true").error == (
        "dry_run=true shows the points of sweep.grids; a study chooses its points as it goes"
    )


def test_other_verbs_know_no_dry_run(run: Run) -> None:
    assert run("train", "dry_run=true").error == "dry_run=true means something to promise sweep alone"
    assert run("evaluate", "retry_failed=true").error == "retry_failed=true means something to promise sweep alone"
    assert run("sweep", "dry_run=maybe").error == "dry_run must be true or false, got maybe"
