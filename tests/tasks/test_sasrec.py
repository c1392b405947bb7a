"""Training of SASRec: the loss by hand, no leak, overfitting, selection by its own ranking, exact resume, errors."""

import math
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch.nn import functional as F

from promise.models.sasrec import SASRec
from promise.tasks.sasrec import SASRecTask
from promise.tasks.training import SELECTION

DIALS: dict[str, Any] = {
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "warmup_steps": 2,
    "epochs": 2,
    "patience": 9,
    "ema_decay": None,
}
LIMIT = 6


def task_of(world: Any, dropout: float = 0.2, **changes: Any) -> SASRecTask:
    torch.manual_seed(0)
    network = SASRec(16, 1, 2, dropout, LIMIT, item_count=world.histories.item_count)
    return SASRecTask(**{**DIALS, **changes}, network=network, seed=5)


@pytest.mark.parametrize("rows", ["windows", "prefixes"])
def test_the_loss_is_the_mean_over_real_targets(rows: str, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task, batch = task_of(world).eval(), world.batch(rows)
    monkeypatch.setattr(task, "log", lambda *_, **__: None)
    losses = []
    for user in range(len(batch.history)):
        for position, target in zip(batch.positions[user].tolist(), batch.targets[user].tolist(), strict=True):
            if target >= 0:
                state = task.network.states(batch.history[user : user + 1, : position + 1])[0, -1]
                losses.append(F.cross_entropy(task.network.items.weight @ state, torch.tensor(target)))
    assert torch.allclose(task.training_step(batch, 0), torch.stack(losses).mean(), atol=1e-5)


def test_the_first_loss_is_the_log_of_the_number_of_items(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(world)
    monkeypatch.setattr(task, "log", lambda *_, **__: None)
    assert task.training_step(world.batch(), 0).item() == pytest.approx(math.log(30), abs=0.1)


def test_no_target_is_in_what_predicts_it(world: Any) -> None:
    """The history may hold targets only behind the positions that see it."""
    batch = world.batch()
    real = batch.targets >= 0
    following = batch.history[:, 1:]
    inside = real[:, :-1] & (torch.arange(following.shape[1]) < batch.lengths[:, None] - 1)
    assert torch.equal(batch.targets[:, :-1][inside], following[inside])
    assert torch.equal(batch.positions, torch.arange(batch.history.shape[1]).expand_as(batch.positions))


def test_some_steps_overfit_one_batch(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task, batch, losses = task_of(world, dropout=0.0), world.batch(), []
    monkeypatch.setattr(task, "log", lambda name, value, **_: losses.append(value.item()))
    optimizer = torch.optim.AdamW(task.parameters(), lr=0.03)
    for _ in range(30):
        optimizer.zero_grad()
        task.training_step(batch, 0).backward()
        optimizer.step()
    assert losses[9] < 0.6 * losses[0] and losses[-1] < 0.1 * losses[0]


def test_it_learns_the_rule_of_the_world_and_keeps_its_best(world: Any, tmp_path: Any, lightning: None) -> None:
    class Note(Callback):
        scores: list[float] = []  # noqa: RUF012

        def on_validation_end(self, trainer: Any, task: Any) -> None:
            self.scores.append(float(trainer.callback_metrics[SELECTION]))

    trainer = world.fit(task_of(world, epochs=10, learning_rate=0.02), tmp_path, [note := Note()])
    best = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=True)
    assert note.scores[-1] > 0.8 and note.scores[best["epoch"]] == max(note.scores)
    assert set(best["state_dict"]) == {name for name, _ in task_of(world).named_parameters()}


class Killed(RuntimeError):
    """What a test kills a training with."""


class Kill(Callback):
    """Kills the training after two batches of the second epoch."""

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, index: int) -> None:
        if trainer.current_epoch == 1 and index == 2:
            raise Killed


def test_a_killed_training_goes_on_as_if_nothing_had_happened(world: Any, tmp_path: Any, lightning: None) -> None:
    whole, resumed = task_of(world), task_of(world)
    world.fit(whole, tmp_path / "whole")
    with pytest.raises(Killed):
        world.fit(task_of(world), tmp_path / "killed", [Kill()])
    world.fit(resumed, tmp_path / "killed", ckpt_path=tmp_path / "killed" / "checkpoints" / "last.ckpt")
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_wrong_dials_are_refused(world: Any) -> None:
    with pytest.raises(ValueError, match=r"training\.epochs must be an integer >= 1, got 0"):
        task_of(world, epochs=0)
