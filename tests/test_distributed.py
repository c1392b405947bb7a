"""Two gloo processes share a batch: other rows and other random numbers in each, one model in both."""

import json
import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from promise.tasks.joint import JointTask
from tests.tasks.conftest import World


def one_rank(rank: int, port: int, folder: Path) -> None:
    """Trains as one of two processes, and writes down users and random numbers of its steps and its weights."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0}
    where |= {"TORCHELASTIC_RUN_ID": "test", "RANK": rank, "LOCAL_RANK": rank}
    os.environ.update({name: str(value) for name, value in where.items()})
    seen, training_step = [], JointTask.training_step

    def watched(self: JointTask, batch: Any, index: int) -> Any:
        seen.append([batch.users.tolist(), torch.rand(3).tolist()])
        return training_step(self, batch, index)

    JointTask.training_step = watched  # type: ignore[method-assign]
    world = World()
    task = world.task("joint", epochs=1)
    settings = {"accelerator": "cpu", "devices": 2, "strategy": "ddp", "use_distributed_sampler": False}
    world.fit(task, folder, **settings)
    weights = torch.cat([weight.detach().flatten() for weight in task.parameters()])
    (folder / f"{rank}.json").write_text(json.dumps([seen, float(weights.double().sum())]))


@pytest.mark.filterwarnings("ignore")
def test_ranks_share_the_global_batch_and_draw_apart(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")  # what is imported here need not be imported there
    processes = [fork.Process(target=one_rank, args=(rank, port, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    (one, weights), (other, same) = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert len(one) == len(other) > 2 and weights == same
    for (rows, drawn), (other_rows, other_drawn) in zip(one, other, strict=True):
        assert len(rows) <= 3 and len(other_rows) <= 3  # 4 in all; a batch may be larger by one
        assert drawn != other_drawn
    everybody = [user for step in (*one, *other) for user in step[0]]
    assert len(set(everybody)) == 24 and not torch.equal(torch.tensor(one[0][1]), torch.tensor(one[1][1]))


def test_a_batch_that_processes_cannot_share_is_refused(run: Any, tmp_path: Path) -> None:
    error = run("train", "trainer.devices=3", "trainer.strategy=ddp_spawn", store=tmp_path).error
    assert error == "datamodule.batch_size must be a multiple of the 3 processes that share it, got 128"
