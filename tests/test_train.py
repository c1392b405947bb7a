"""`promise train` trains what is missing, alone or in stages, and goes on after a kill as if nothing had happened."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest

from promise.tasks import training
from promise.tasks.joint import JointTask

Run = Callable[..., Any]


def test_train_once(run: Run, tmp_path: Path) -> None:
    answer = run("train", store=tmp_path)
    said = answer.json
    assert set(said) == {"verb", "seed", "parameters", "training", "trained", "paths"}
    assert (said["verb"], said["seed"]) == ("train", 0)
    assert said["trained"] == ["data", "embeddings", "ids", "content", "joint"]
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
        ["reward=cross_attention", "generator.attention=bidirectional"],
        ["training.negatives=full_softmax", "generator.content=true", "generator.item_vectors=false"],
        ["training.softmax=all", "training.negatives=hard"],
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


EPOCHS = 5
LONGER = (
    f"training.epochs={EPOCHS}",
    f"training.patience={EPOCHS}",
    "datamodule.batch_size=16",
    "checkpoint_selection.users=60",
)


def networks(store: Path) -> bytes:
    """The file of the one joint training in a store."""
    (path,) = (store / "artifacts").glob("joint-*/weights.safetensors")
    return path.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose training nobody stopped."""
    store = tmp_path_factory.mktemp("undisturbed")
    assert run("train", *LONGER, store=store).code == 0
    return store


def test_a_killed_training_goes_on_exactly_with_any_number_of_workers(run, world, undisturbed, tmp_path):
    store, log = tmp_path / "store", tmp_path / "log"
    words = [*world.words, *LONGER, "datamodule.workers=2", f"store={store}"]
    with open(log, "w") as file:
        # Its own session, so that no other process can be meant.
        command = [sys.executable, "-m", "promise", "train", *words]
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while "epoch 3 of" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert list((store / "artifacts").glob(".partial-joint-*/checkpoints/last.ckpt"))
    assert not list((store / "artifacts").glob("joint-*"))
    answer = run("train", *LONGER, "datamodule.workers=2", store=store)
    assert "going on with the training" in answer.err and "epoch 2 of" not in answer.err
    assert answer.json["trained"] == ["joint"]
    assert networks(store) == networks(undisturbed)
    assert not list((store / "artifacts").glob(".partial*"))


@pytest.mark.parametrize(("number", "workers", "step"), [(signal.SIGINT, 2, 10), (signal.SIGTERM, 0, 12)])
def test_a_signal_within_an_epoch_loses_no_step(run, undisturbed, tmp_path, monkeypatch, number, workers, step):
    seen: list[int] = []
    training_step = JointTask.training_step

    def interrupted(self: JointTask, batch: Any, index: int) -> Any:
        seen.append(index)
        if len(seen) == step:
            os.kill(os.getpid(), number)
        return training_step(self, batch, index)

    words = ("train", *LONGER, f"datamodule.workers={workers}")
    with monkeypatch.context() as patch:
        patch.setattr(JointTask, "training_step", interrupted)
        answer = run(*words, store=tmp_path)
    assert answer.code == 128 + number and "Traceback" not in answer.err
    last = answer.err.splitlines()[-1]
    assert last.startswith(f"stopped by {signal.Signals(number).name}")
    monkeypatch.setattr(JointTask, "training_step", lambda *args: seen.append(args[2]) or training_step(*args))
    resumed = run(*words, store=tmp_path)
    assert resumed.json["trained"] == ["joint"]
    steps = max(seen) + 1
    assert len(seen) - EPOCHS * steps == (0 if step % steps else steps)  # after its last step an epoch is done again
    assert networks(tmp_path) == networks(undisturbed)


@pytest.mark.parametrize(
    ("moment", "verb"),
    [
        ("promise.data.interactions.Interactions.save", "train"),
        ("promise.tasks.evaluation.target_ranks", "evaluate"),
        ("promise.data.datasets.pad_rows", "train"),
    ],
)
def test_a_signal_at_any_moment_ends_with_its_code_and_one_line(run, tmp_path, monkeypatch, moment, verb):
    work: Any = locate(moment)
    monkeypatch.setattr(moment, lambda *args: os.kill(os.getpid(), signal.SIGTERM) or work(*args))
    answer = run(verb, store=tmp_path)
    said = [line for line in answer.err.splitlines() if not line.startswith("[")]
    assert answer.code == 143 and answer.out == "" and said == ["stopped by SIGTERM"]


def test_a_loss_that_is_no_number_names_step_level_and_option(run: Run, tmp_path: Path) -> None:
    where = r"at training step \d \(epoch \d\): lower training\.learning_rate=1e\+09"
    for rows, what in (
        (128, "the (generator|reward model) gave NaN at level 1 .*"),
        (8, r"(next code|path) loss at level \d is nan"),
    ):
        words = ("training.learning_rate=1e9", "training.warmup_steps=0", f"datamodule.batch_size={rows}")
        error = run("train", *words, store=tmp_path).error
        assert re.fullmatch(f"{what} {where}", error), error


def test_seconds_are_those_of_all_parts(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target_ranks, calls = training.target_ranks, []

    def slow(*args: Any) -> Any:
        time.sleep(0.5)
        calls.append(1)
        return os.kill(os.getpid(), signal.SIGINT) if len(calls) == 2 else target_ranks(*args)

    monkeypatch.setattr(training, "target_ranks", slow)
    assert run("train", store=tmp_path).code == 130
    seconds = run("train", store=tmp_path).json["training"]["training_seconds"]
    assert len(calls) == 3 and 1 <= seconds < 60
