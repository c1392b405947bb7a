"""One of each interface from outside the package is prepared, trained, searched and swept by the ordinary verbs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promise import api

HERE = Path(__file__).parent
GROUPS = ("data", "embeddings", "ids", "reward", "training")
TINY = (
    "generator=tiny", "generator.dim=16", "checkpoint_selection.users=20", "checkpoint_selection.width=5", "logger=csv",
)  # fmt: skip


@pytest.fixture
def plugged(run_bare: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a verb on what comes from outside."""
    monkeypatch.syspath_prepend(HERE)
    chosen = [f"{group}=plugged" for group in GROUPS]

    def run(verb: str, *words: str) -> Any:
        given = [*chosen, *TINY, f"store={tmp_path}", "split=test", *words]
        return run_bare(verb, "--config-dir", str(HERE / "conf"), *given)

    return run


def test_one_of_each_goes_through_the_ordinary_verbs(plugged: Callable[..., Any], tmp_path: Path) -> None:
    prepared = plugged("prepare").json
    assert (prepared["data"]["users"], prepared["data"]["items"]) == (40, 32)
    assert prepared["ids"]["level_sizes"][:2] == [8, 2]
    trained = plugged("train").json
    assert trained["trained"] == ["quick"] and trained["parameters"]["reward"] > 0
    found = plugged("evaluate", "search.width=20").json
    assert found["trained"] == [] and found["dials"]["training"] == "plugged" and found["metrics"]["recall@10"] > 0
    near = plugged("evaluate", "search=plugged").json
    assert near["dials"]["search"] == "plugged" and near["metrics"]["recall@5"] == 1.0 and near["parameters"] is None
    far = plugged("evaluate", "search=plugged", "search.sign=-1").json
    assert far["metrics"]["recall@5"] == 0.0 and far["paths"] != near["paths"]
    said = plugged("sweep", "sweep.name=s", "sweep.grids=[{search:[plugged,plain]}]").json
    assert said["points"] == 2 and said["failed"] == 0
    given = plugged("evaluate", "search.width=20", f"checkpoint={trained['paths']['model']}").json
    assert given["paths"]["row"] == found["paths"]["row"]
    assert_recommends(trained, given)
    manifest = json.loads(next((tmp_path / "artifacts").glob("quick-*/manifest.json")).read_text())
    assert manifest["config"]["reward"]["scale"] == 0.5 and manifest["config"]["trainer"]["processes"] == 1


def test_counts_wrap_what_they_do_not_know(plugged: Callable[..., Any]) -> None:
    counts = ("cooccurrence=counts", "cooccurrence.neighbours=3", "cooccurrence.text_neighbours=2")
    trained = plugged("train", *counts).json
    assert trained["trained"][-2:] == ["cooccurrence", "quick"]
    found = plugged("evaluate", *counts, "search.width=20").json
    assert found["trained"] == [] and found["metrics"]["recall@10"] > 0.5  # the next item of a ring is a neighbour
    assert plugged("sweep", *counts, "sweep.name=c", "sweep.grids=[{search.width:[5,20]}]").json["failed"] == 0
    given = plugged("evaluate", "search.width=20", f"checkpoint={trained['paths']['model']}").json
    assert given["paths"]["row"] == found["paths"]["row"]
    assert_recommends(trained, given)


def assert_recommends(trained: Any, evaluated: Any) -> None:
    """The model folder alone finds what the verb measured."""
    histories = [[100 + (user * 7 + step) % 32 for step in range(5)] for user in range(40)]
    targets = [100 + (user * 7 + 5) % 32 for user in range(40)]
    rows = api.load(trained["paths"]["model"]).recommend(histories, k=10)
    hits = sum(target in row for target, row in zip(targets, rows, strict=True))
    assert hits / 40 == pytest.approx(evaluated["metrics"]["recall@10"])


def test_one_file_and_one_option_of_each() -> None:
    options = {path.parent.name: path.read_text().split()[1] for path in (HERE / "conf").glob("*/plugged.yaml")}
    assert options.keys() == {*GROUPS, "search"}
    assert len({name.split(".")[1] for name in options.values()}) == len(list((HERE / "outside").glob("*.py"))) == 6
