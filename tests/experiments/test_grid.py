"""Points of a sweep: what grids hold is composed and checked before anything runs, in one line when it is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from promise.experiments.grid import SweepPoint, expand, spelled

Run = Callable[..., Any]


def test_expand_and_spelled() -> None:
    assert expand([{"a": 1, "b": ["x", 2.5]}, {"a": [1], "b": "x"}]) == [["a=1", "b=x"], ["a=1", "b=2.5"]]
    assert expand([]) == []
    values = ("x", 1, 0.5, True, None, [1, 2])
    assert [spelled(value) for value in values] == ["x", "1", "0.5", "true", "null", "[1, 2]"]


def test_what_no_column_tells() -> None:
    def further(*words: str) -> str | None:
        return SweepPoint(list(words), OmegaConf.create({}), {}).further

    assert (
        further("search=guided", "search.width=20", "seed=1", "evaluation.remove_seen=true", "training=staged") is None
    )
    assert further("data=table", "data.ties=shuffle", "data.domains=[book]") is None  # the column `data` tells
    assert further("data.root=a", "data.users=9", "data.seed=1") == "data.root=a data.users=9"
    assert (
        further("ids.levels=2", "search=plain", "training.negatives=exact") == "ids.levels=2 training.negatives=exact"
    )


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        (["search=plain"], r"^sweep\.grids\[0\] must map keys to their values, got search=plain$"),
        ([{"a": 1}, {}], r"^sweep\.grids\[1\] must map keys to their values, got \{\}$"),
        ([{"search.width": []}], r"^sweep\.grids\[0\]: search\.width must have at least one value, got \[\]$"),
    ],
)
def test_a_wrong_grid_is_named(grids: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expand(grids)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep.name=x", "sweep.grids=[]"], "sweep.grids must hold at least one point, got none"),
        (["sweep.name=x", "sweep.grids=[{search.widht:[10]}]"], "search.widht: unknown; did you mean search.width?"),
        (["sweep.name=x", "sweep.grids=[{search:plane}]"], "search must be one of best_of_n, "),
        (
            ["sweep.name=x", "sweep.grids=[{search:plain}]", "trainer.strategy=ddp"],
            "trainer.strategy=ddp inside a multi",
        ),
    ],
)
def test_a_wrong_sweep_is_one_line(run: Run, tmp_path: Path, words: list[str], message: str) -> None:
    assert run("sweep", *words, store=tmp_path).error.startswith(message)
    assert not (tmp_path / "artifacts").exists()
