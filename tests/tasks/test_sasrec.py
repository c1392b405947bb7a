"""Training of SASRec: the loss by hand, and overfitting."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from promise.tasks import sasrec
from promise.tasks.schedule import make_sparse


@pytest.mark.parametrize("rows", ["windows", "prefixes"])
@pytest.mark.parametrize("drawn", [None, [0, 5, 2, 7, 1]])
def test_the_loss_is_the_mean_over_real_targets(
    drawn: list[int] | None, rows: str, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, batch = world.task("sasrec", negative_count=drawn and len(drawn)).eval(), world.batch(rows)
    monkeypatch.setattr(task, "log", lambda *_, **__: None)
    monkeypatch.setattr(sasrec, "distinct_nodes", lambda *_: torch.tensor(drawn))
    losses = []
    for user in range(len(batch.history)):
        for position, target in zip(batch.positions[user].tolist(), batch.targets[user].tolist(), strict=True):
            if target >= 0:
                state = task.network.states(batch.history[user : user + 1, : position + 1])[0, -1]
                scores = task.network.items.weight @ state
                rivals = [item for item in drawn or range(len(scores)) if item != target]
                losses.append(F.cross_entropy(scores[[target, *rivals]], torch.tensor(0)))
    assert torch.allclose(task.training_step(batch, 0), torch.stack(losses).mean(), atol=1e-5)


def test_drawn_items_alone_have_gradients_where_tables_are_sparse(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slopes = []
    for rows in (None, 1):
        task, batch = world.task("sasrec", dropout=0.0, negative_count=4, sparse_rows=rows), world.batch("windows")
        monkeypatch.setattr(task, "log", lambda *_, **__: None)
        make_sparse(task, task.sparse_rows)
        torch.manual_seed(1)
        task.training_step(batch, 0).backward()
        slopes.append(task.network.items.weight.grad)
    dense, sparse = slopes
    assert not dense.is_sparse and sparse.is_sparse
    assert torch.allclose(sparse.to_dense(), dense, atol=1e-6)


@pytest.mark.parametrize("drawn", [{}, {"negative_count": 16, "sparse_rows": 1}])
def test_some_steps_overfit_one_batch(drawn: dict[str, int], world: Any) -> None:
    task = world.task("sasrec", dropout=0.0, **drawn)
    losses = [loss for row in world.losses(task, 30, 0.03) for loss in row.values()]
    assert losses[9] < 0.6 * losses[0] and losses[-1] < 0.1 * losses[0]
