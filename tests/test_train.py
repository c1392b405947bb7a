"""`promise train` trains what is missing, alone or in stages, and goes on after a kill as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_train_once(run: Run, tmp_path: Path) -> None:
    answer = run("train", store=tmp_path)
    said = answer.json
    assert set(said) == {"verb", "seed", "parameters", "training", "trained", "paths"}
    assert (said["verb"], said["seed"]) == ("train", 0)
    assert sorted(said["trained"]) == ["content", "data", "embeddings", "ids", "joint"]
    assert set(said["training"]) == {"epochs", "best_epoch", "validation_recall@10", "training_seconds"}
    assert set(said["parameters"]) == {"generator", "reward"} and min(said["parameters"].values()) > 0
    assert all(Path(path).exists() for path in said["paths"].values())
    assert "epoch 2 of 2" in answer.err and "epoch" not in answer.out.splitlines()[0]
    assert run("train", store=tmp_path).json["trained"] == []


def test_the_generator_alone_needs_no_judge(run: Run) -> None:
    said = run("train", "training=generator").json
    assert set(said["parameters"]) == {"generator"}


@pytest.mark.parametrize(
    "words",
    [
        ["reward=cross_attention"],
        ["training.negatives=full_softmax"],
        ["generator.attention=bidirectional"],
        ["generator.content=true", "generator.item_vectors=false"],
        ["training.softmax=all"],
    ],
    ids=lambda words: words[0],
)
def test_variants_train_and_rank(run: Run, words: list[str]) -> None:
    said = run("evaluate", *words, "search.width=10").json
    assert said["trained"][-1] == "joint"
    assert said["invalid_rate"] == said["duplicate_rate"] == 0
    assert 0 <= said["metrics"]["recall@10"] <= 1


def test_a_given_checkpoint_is_no_training(run: Run, tmp_path: Path) -> None:
    made = run("train").json["paths"]
    given = [f"checkpoint={made['model']}", f"ids.path={made['ids']}", "seed=5"]
    said = run("train", *given, store=tmp_path).json
    assert "joint" not in said["trained"] and "ids" not in said["trained"]
    assert said["paths"]["model"] == made["model"] and said["paths"]["manifest"] is None


def test_a_killed_training_goes_on_exactly(run: Run, world: Any, tmp_path: Path) -> None:
    longer = ["training.epochs=14", "training.patience=14", "datamodule.batch_size=16", "checkpoint_selection.users=60"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command = [sys.executable, "-m", "promise", "train", *world.words, *longer, f"store={parts}"]
    with open(tmp_path / "log", "w") as log:
        # Its own session, so that no other process can be meant.
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while "epoch 3 of" not in (tmp_path / "log").read_text():
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert list((parts / "artifacts").glob(".partial-joint-*/checkpoints/last.ckpt"))
    assert not list((parts / "artifacts").glob("joint-*"))
    one, other = run("evaluate", *longer, store=whole), run("evaluate", *longer, store=parts)
    assert "going on with the training" in other.err and "epoch 2 of" not in other.err
    assert other.json["trained"] == ["joint"]
    last = [next(line for line in answer.err.splitlines() if "epoch 14 of" in line) for answer in (one, other)]
    assert last[0].partition("]")[2].partition(" (")[0] == last[1].partition("]")[2].partition(" (")[0]
    for name in ("metrics", "intervals", "hrecall", "parameters", "baselines", "dials"):
        assert one.json[name] == other.json[name]
    networks = [
        next((store / "artifacts").glob("joint-*/weights.safetensors")).read_bytes() for store in (whole, parts)
    ]
    assert networks[0] == networks[1]
    assert not list((parts / "artifacts").glob(".partial*"))
