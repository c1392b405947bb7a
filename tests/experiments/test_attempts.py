"""Failed points: kept with their error, by config and contents of the inputs, until they are tried again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

import promise
from promise.experiments.attempts import Failure, attempt, record
from promise.experiments.grid import SweepPoint
from promise.pipeline.points import Point

Composed = Callable[..., DictConfig]


@pytest.fixture
def composed(world: Any, tmp_path: Path) -> Composed:
    from promise import configs

    return lambda *words: configs.compose([*world.words, f"store={tmp_path}", *words])


def test_a_failure_is_that_of_a_config_and_its_inputs(composed: Composed, world: Any, tmp_path: Path) -> None:
    path = Failure(composed()).path
    assert path.parent == tmp_path / "failures"
    copy = tmp_path / "copy.txt"
    copy.write_bytes((world.folder / "sequences.txt").read_bytes())
    for same in (
        ["store=elsewhere"],
        ["build=never"],
        ["retry_failed=true"],
        ["sweep.name=x"],
        [f"data.sequences={copy}"],
    ):
        assert Failure(composed(*same)).path.name == path.name
    copy.write_text("a 7 10 13\n")
    for other in (
        ["search.width=3"],
        ["seed=1"],
        ["trainer.accelerator=gpu"],
        ["split=test"],
        [f"data.sequences={copy}"],
    ):
        assert Failure(composed(*other)).path.name != path.name


def test_lists_and_checkpoints_count_by_their_contents(composed: Composed, tmp_path: Path) -> None:
    for name, other in (("a.txt", "7"), ("b.txt", "7"), ("c.txt", "10")):
        (tmp_path / name).write_text(other)
    a, b, c = (Failure(composed(f"evaluation.allow={tmp_path / name}.txt")).path for name in "abc")
    assert a == b != c


def test_another_version_knows_nothing_of_a_failure(
    composed: Composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Failure(composed()).path
    monkeypatch.setattr(promise, "__version__", "0.0.9")
    assert Failure(composed()).path != path


def test_an_attempt_fails_once(
    composed: Composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def broken(self: Point, keep_answers: bool = False) -> Any:
        asked.append(self)
        raise RuntimeError("broken\nin two lines")

    monkeypatch.setattr(Point, "result", broken)
    chosen = {"data": "s3rec", "search": "popularity", "generator": "tiny", "reward": "dot", "training": "joint"}

    def tried(*words: str) -> Any:
        from promise.pipeline.stages import Pipeline

        cfg = composed("search=popularity", *words)
        return attempt(SweepPoint(["search=popularity"], cfg, chosen), Pipeline(cfg))

    error = "RuntimeError: broken in two lines"
    refused = tried("build=never")  # it may be the refusal, so it is tried again
    first, again, more = tried(), tried(), tried("retry_failed=true")
    assert [each.error for each in (refused, first, again, more)] == [error] * 4
    assert [each.earlier for each in (refused, first, again, more)] == [False, False, True, False]
    assert len(asked) == 3
    assert f"point search=popularity failed earlier: {error} (retry_failed=true tries it again)" in caplog.text
    (path,) = (tmp_path / "failures").iterdir()
    assert {name: json.loads(path.read_text())[name] for name in ("error", "point")} == {
        "error": error, "point": ["search=popularity"]
    }  # fmt: skip
    monkeypatch.undo()
    done = tried("retry_failed=true")
    assert done.error is None and done.result.searched and not path.exists()


def test_a_failure_that_cannot_be_recorded_is_told(
    composed: Composed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cfg = composed()
    OmegaConf.update(cfg, "data.sequences", "nowhere.txt")
    record(Failure(cfg), SweepPoint(["a=1"], cfg, {}), "ValueError: x")
    assert "the failure of point a=1 could not be recorded: data.sequences: no such file" in caplog.text
