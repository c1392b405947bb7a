"""Failed points: kept with their error, by everything their figures depend on, until they are tried again."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from promise import configs
from promise.experiments.grid import SweepPoint
from promise.experiments.point_outcome import Failure, Pipelines, point_outcome, succeeded
from promise.pipeline.points import Point, PointResult
from promise.pipeline.stages import Pipeline

CHOSEN = {"data": "s3rec", "search": "popularity", "generator": "tiny", "reward": "dot", "training": "joint"}
Made = Callable[..., SweepPoint]


@pytest.fixture
def point_of(world: Any, tmp_path: Path) -> Made:
    def point(*words: str) -> SweepPoint:
        cfg = configs.compose([*world.words, f"store={tmp_path}", "search=popularity", *words])
        return SweepPoint(["search=popularity"], cfg, CHOSEN)

    return point


def test_a_point_fails_once(point_of, tmp_path, monkeypatch, caplog):
    asked = []

    def broken(self: Point, keep_answers: bool = False) -> Any:
        asked.append(self)
        raise RuntimeError("broken\nin two lines")

    def tried(*words: str) -> Any:
        point = point_of(*words)
        return point_outcome(point, Pipeline(point.cfg))

    monkeypatch.setattr(Point, "result", broken)
    error = "RuntimeError: broken in two lines"
    # a refusal to build is no failure that is kept; a failure is that of its logger too
    words = ([f"{name}"] for name in ("build=never", "seed=0", "seed=0", "retry_failed=true", "logger=tensorboard"))
    assert [tried(*each).error for each in words] == [error] * 5
    assert len(asked) == 4
    assert f"point search=popularity failed earlier: {error} (retry_failed=true tries it again)" in caplog.text
    kept = json.loads(Failure(point_of()).path.read_text())
    assert (kept["error"], kept["point"]) == (error, ["search=popularity"])
    monkeypatch.undo()
    done = tried("retry_failed=true")
    assert done.error is None and done.result.searched and not Failure(point_of()).path.exists()


def test_short_lists_are_told_by_what_they_measure(
    point_of: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pipeline: Any = SimpleNamespace(data=SimpleNamespace(fingerprint="f"))
    for found in (0.25, None):
        row = {"recall@10": None, "recall@5": found}
        succeeded(point_of(), pipeline, PointResult(row, np.zeros(1, np.int64), None, tmp_path, True))
    assert "search=popularity: recall@5 0.2500" in caplog.text
    assert "search=popularity: its lists are too short for recall@5" in caplog.text


def test_a_failure_that_cannot_be_recorded_is_told(point_of: Made, caplog: pytest.LogCaptureFixture) -> None:
    point = point_of()
    OmegaConf.update(point.cfg, "data.sequences", "nowhere.txt")
    Failure(point).record("ValueError: x")
    assert "the failure of point search=popularity could not be recorded: data.sequences: no such fi" in caplog.text


def test_pipelines(pipeline_of: Callable[..., Any]) -> None:
    pipelines = Pipelines()
    one, same, users, other = (
        pipeline_of(*words).cfg
        for words in ((), ("search=plain", "search.width=3"), ("evaluation.users=9", "split=test"), ("seed=1",))
    )
    first = pipelines.of(one)
    networks = first.networks
    assert pipelines.of(same) is first and first.cfg is same and first.networks is networks
    assert pipelines.of(users) is first
    second = pipelines.of(other)
    assert second is not first and second.cfg is other
    assert pipelines.of(one) is not first  # only the last one is kept
