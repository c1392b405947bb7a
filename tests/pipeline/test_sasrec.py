"""SASRec as a stage: trained when it is asked for and not before, reused, and told apart by what made it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from promise.pipeline.networks import WEIGHTS
from promise.pipeline.points import Point
from promise.pipeline.trainings import SASRecTraining

PipelineOf = Callable[..., Any]
TINY = ("sasrec.network.dim=16", "sasrec.training.epochs=3")


def point_of(pipeline: Any) -> Point:
    choices = {"data": "s3rec", "search": "sasrec", "generator": "tiny", "reward": "dot", "training": "joint"}
    return Point(pipeline, pipeline.cfg.search, choices)


def test_it_is_trained_for_its_own_search_and_nothing_else_is(run: Any, tmp_path: Path) -> None:
    assert "sasrec" not in run("evaluate", "search=popularity", *TINY, store=tmp_path).json["trained"]
    said = run("evaluate", "search=sasrec", "split=test", *TINY, store=tmp_path).json
    assert said["trained"] == ["sasrec"]
    assert said["dials"] == {"search": "sasrec", "generator": None, "reward": None, "training": None}
    assert 0 < said["metrics"]["recall@10"] <= said["metrics"]["recall@20"] <= 1
    assert said["parameters"] > 40 * 16 and said["hrecall"] == []
    assert said["cost"]["flops_per_user"] > 2 * 40 * 16 and said["cost"]["decoder_tokens_per_user"] == 0
    row = json.loads(Path(said["paths"]["row"]).read_text())
    (folder,) = (tmp_path / "artifacts").glob("sasrec-*")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert row["networks"].startswith("sha256:") and list(manifest["files"]) == [WEIGHTS]
    assert set(manifest["inputs"]) == {"data"} and manifest["epochs"] == 3
    again = run("evaluate", "search=sasrec", "split=test", "build=never", "generator.dim=8", *TINY, store=tmp_path).json
    assert again["trained"] == [] and again["paths"] == said["paths"]


@pytest.mark.parametrize(
    ("word", "another"),
    [
        ("search=plain generator.dim=8 datamodule.history=5 checkpoint_selection.width=3 training.epochs=9", False),
        ("sasrec.network.dropout=0.1", True), ("sasrec.training.epochs=4", True), ("datamodule.batch_size=16", True),
        ("checkpoint_selection.users=10", True), ("+trainer.max_steps=3", True), ("seed=1", True),
    ],
)  # fmt: skip
def test_a_dial_rebuilds_it_or_not(pipeline_of: PipelineOf, word: str, another: bool) -> None:
    keys = []
    for pipeline in (pipeline_of(*TINY), pipeline_of(*TINY, *word.split())):
        fit = SASRecTraining(pipeline)
        keys.append(pipeline.store.key(fit.name, fit.config, fit.inputs, fit.version))
    assert (keys[0] != keys[1]) == another


def test_rows_are_told_apart_by_its_weights(pipeline_of: PipelineOf) -> None:
    keys = [
        point_of(pipeline_of("search=sasrec", *TINY, *words)).key()
        for words in ((), ("generator.dim=8",), ("evaluation.precision=bf16-mixed",))
    ]
    assert keys[0] == keys[1] != keys[2] and "ids" not in keys[0]


def test_its_windows_are_of_its_own_length(pipeline_of: PipelineOf) -> None:
    pipeline = pipeline_of("datamodule.history=3", "generator.attention=bidirectional")
    (own,) = pipeline.datamodule(history=9).train_dataloader()
    assert own.history.shape[1] == own.targets.shape[1] > 3
    others = next(iter(pipeline.datamodule().train_dataloader()))
    assert others.history.shape[1] == 3 and others.targets.shape[1] == 1


def test_it_ranks_by_the_best_weights_in_evaluation_mode(pipeline_of: PipelineOf) -> None:
    pipeline = pipeline_of("search=sasrec", *TINY)
    network = pipeline.sasrec
    assert not network.training
    again = pipeline_of("search=sasrec", *TINY).sasrec
    assert all(map(torch.equal, network.state_dict().values(), again.state_dict().values()))
    found = point_of(pipeline).evaluate()
    batch = next(iter(pipeline.datamodule().test_dataloader()))
    with torch.no_grad():
        scores = network.scores(network.encode(batch.history, batch.lengths))
    assert np.array_equal(found.items[batch.users, 0], scores.argmax(1))
