"""Training of SASRec: the loss by hand, and overfitting."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F


@pytest.mark.parametrize("rows", ["windows", "prefixes"])
def test_the_loss_is_the_mean_over_real_targets(rows: str, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task, batch = world.task("sasrec").eval(), world.batch(rows)
    monkeypatch.setattr(task, "log", lambda *_, **__: None)
    losses = []
    for user in range(len(batch.history)):
        for position, target in zip(batch.positions[user].tolist(), batch.targets[user].tolist(), strict=True):
            if target >= 0:
                state = task.network.states(batch.history[user : user + 1, : position + 1])[0, -1]
                losses.append(F.cross_entropy(task.network.items.weight @ state, torch.tensor(target)))
    assert torch.allclose(task.training_step(batch, 0), torch.stack(losses).mean(), atol=1e-5)


def test_some_steps_overfit_one_batch(world: Any) -> None:
    losses = [loss for row in world.losses(world.task("sasrec", dropout=0.0), 30, 0.03) for loss in row.values()]
    assert losses[9] < 0.6 * losses[0] and losses[-1] < 0.1 * losses[0]
