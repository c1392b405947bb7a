"""Two gloo processes share a batch: other rows and other random numbers in each, one model in both."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

RANK = """
import json, os, sys, torch
from tests.tasks.conftest import NOT_NEWS, World
from promise.tasks.joint import JointTask

seen = []
training_step = JointTask.training_step

def watched(self, batch, index):
    seen.append([batch.users.tolist(), torch.rand(3).tolist()])
    return training_step(self, batch, index)

JointTask.training_step = watched
world, folder = World(), sys.argv[1]
task = world.task("joint", epochs=1)
settings = {"accelerator": "cpu", "devices": 2, "strategy": "ddp", "use_distributed_sampler": False}
trainer = world.fit(task, folder, **settings)
weights = torch.cat([weight.detach().flatten() for weight in task.parameters()])
json.dump([seen, float(weights.double().sum())], open(f"{folder}/{trainer.global_rank}.json", "w"))
"""


@pytest.mark.filterwarnings("ignore")
def test_ranks_share_the_global_batch_and_draw_apart(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    where |= {"TORCHELASTIC_RUN_ID": "test", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(tmp_path)],
            env={**os.environ, **where, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
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
