"""What the trainings share: targets as paths, selection by search, exact resume, checkpoints, errors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback

from promise.metrics.ranking import ndcg_values, recall_values
from promise.tasks.training import SELECTION, RunningMean, Targets, mean


def test_targets_are_the_paths_of_the_items(world):
    items = Targets(world.trie)
    assert torch.equal(items.codes, world.codes)
    for item, codes in enumerate(world.codes.tolist()):
        for depth in range(4):
            prefixes = world.trie.prefixes(depth).tolist()
            assert items.nodes[item, depth] == prefixes.index(codes[:depth])
    assert not items.state_dict()


class Killed(RuntimeError):
    """What a test kills a training with."""


class Kill(Callback):
    """Kills the training after two batches of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_start(self, trainer, task, batch, index) -> None:
        if trainer.current_epoch == self.epoch and index == 2:
            raise Killed


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        *((kind, {}) for kind in ("generator", "reward", "joint", "sasrec")),
        ("joint", {"sparse_rows": 20, "ema_decay": 0.9}),
    ],
)
def test_a_killed_training_goes_on_as_if_nothing_had_happened(kind, changes, world, tmp_path, lightning, monkeypatch):
    monkeypatch.setattr("promise.tasks.training.LAZY_STEPS", 4)
    monkeypatch.setattr("promise.tasks.schedule.LAZY_STEPS", 4)
    whole = world.task(kind, **changes)
    world.fit(whole, tmp_path / "whole")
    with pytest.raises(Killed):
        world.fit(world.task(kind, **changes), tmp_path / "killed", [Kill(epoch=1)])
    resumed = world.task(kind, **changes)
    last = (tmp_path / "killed").rename(tmp_path / "moved") / "checkpoints" / "last.ckpt"
    trainer = world.fit(resumed, tmp_path / "moved", ckpt_path=last)
    best = trainer.checkpoint_callback
    assert Path(best.best_model_path).parent == last.parent and best.best_model_score is not None
    assert trainer.current_epoch == 2
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_no_whole_epoch_is_trained_again_after_a_kill(world, tmp_path, lightning):
    with pytest.raises(Killed):
        world.fit(world.task("generator", epochs=5, learning_rate=1e-9), tmp_path, [Kill(epoch=3)])
    epochs = []

    class Note(Callback):
        def on_train_epoch_start(self, trainer, task) -> None:
            epochs.append(trainer.current_epoch)

    task = world.task("generator", epochs=5, learning_rate=1e-9)
    trainer = world.fit(task, tmp_path, [Note()], ckpt_path=tmp_path / "checkpoints" / "last.ckpt")
    assert epochs == [3, 4]
    assert trainer.checkpoint_callback.best_model_path.endswith("best.ckpt")
    assert torch.load(trainer.checkpoint_callback.best_model_path, weights_only=True)["epoch"] == 0


def test_the_same_seed_trains_the_same_weights_and_another_seed_others(world, tmp_path, lightning):
    states = []
    for seed in (5, 5, 6):
        task = world.task("generator", epochs=1)
        task.seed = seed
        world.fit(task, tmp_path)
        states.append(torch.cat([weight.flatten() for weight in task.state_dict().values()]))
    assert torch.equal(states[0], states[1])
    assert not torch.allclose(states[0], states[2])


def test_the_best_checkpoint_is_the_one_that_searched_best(world, tmp_path, lightning):
    class Note(Callback):
        scores: list[float] = []  # noqa: RUF012

        def on_validation_end(self, trainer, task) -> None:
            self.scores.append(float(trainer.callback_metrics[SELECTION]))

    task = world.task("joint", epochs=6)
    trainer = world.fit(task, tmp_path, [note := Note()])
    checkpoint = trainer.checkpoint_callback
    best = torch.load(checkpoint.best_model_path, weights_only=True)
    assert best["epoch"] == int(np.argmax(note.scores))
    assert float(checkpoint.best_model_score) == pytest.approx(max(note.scores))
    assert len(set(note.scores)) > 1
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_validation_is_recall_and_ndcg_of_the_search(world, tmp_path, lightning):
    task = world.task("joint", epochs=1)
    trainer = world.fit(task, tmp_path)
    ranks = []
    task.eval()
    for batch in world.data().val_dataloader():
        for answer, target in zip(
            task.ranker.rank(batch, 10).items.tolist(), batch.targets[:, 0].tolist(), strict=True
        ):
            ranks.append(answer.index(target) if target in answer else 99)
    assert len(ranks) == 10
    assert float(trainer.callback_metrics[SELECTION]) == pytest.approx(recall_values(np.array(ranks), 10).mean())
    ndcg = float(trainer.callback_metrics["validation/ndcg@10"])
    assert ndcg == pytest.approx(ndcg_values(np.array(ranks), 10).mean(), rel=1e-5)


def test_the_running_mean_of_sparse_tables_is_taken_now_and_then(world, tmp_path, lightning, monkeypatch):
    monkeypatch.setattr("promise.tasks.training.LAZY_STEPS", 4)
    means, weights = [], []

    class Note(Callback):
        def on_train_batch_end(self, trainer, task, *rest) -> None:
            (average,) = (each for each in trainer.callbacks if isinstance(each, RunningMean))
            weights.append(task.generator.item_vectors.weight.detach().clone())
            means.append(average._average_model.module.generator.item_vectors.weight.detach().clone())

    world.fit(world.task("joint", sparse_rows=20, ema_decay=0.5), tmp_path, [Note()])
    steps, means = len(means) // 2, means[1:]  # this callback comes before the mean's
    taken = [step for step in range(1, len(means)) if not torch.equal(means[step], means[step - 1])]
    assert taken == [n for n in range(1, len(means)) if (n + 1) % 4 == 0 or (n + 1) % steps == 0]
    expected = weights[taken[0]]  # the first is the weights themselves
    for count, step in enumerate(taken[1:], start=1):
        expected = expected.lerp(weights[step], 1 - min(0.5**4, (1 + count) / (10 + count)))
        assert torch.allclose(means[step], expected, atol=1e-6)


def test_training_stops_when_validation_no_longer_improves(world, tmp_path, lightning):
    task = world.task("generator", epochs=9, patience=2, learning_rate=1e-9)
    assert world.fit(task, tmp_path).current_epoch == 3


def test_a_checkpoint_holds_weights_and_nothing_else(world):
    for kind in ("generator", "reward", "joint", "sasrec"):
        task = world.task(kind)
        assert set(task.state_dict()) == {name for name, _ in task.named_parameters()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_running_mean_keeps_its_type_whatever_the_weights_have(dtype):
    found = mean(0.9, torch.zeros(2), torch.ones(2, dtype=dtype), torch.tensor(90))
    assert found.dtype == torch.float32 and torch.allclose(found, torch.full((2,), 0.1))
