"""A sweep killed with -9 while it trains, and again while it searches, ends as if it had never been stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from promise.analysis.results import read_results

Run = Callable[..., Any]
GRIDS = ("sweep.name=killed", "sweep.grids=[{search:plain,search.width:[10]},{search:guided},{search:popularity}]")
KILLED = """
import os, signal, sys
from promise import cli
from promise.pipeline.points import Point
from promise.pipeline.trainer import EpochLog

def stop(*args):
    os.kill(os.getpid(), signal.SIGKILL)

seen = []
evaluate = Point.evaluate
Point.evaluate = lambda self, *k: stop() if seen.append(self) or len(seen) == 2 else evaluate(self, *k)
if sys.argv[1] == "training":
    EpochLog.on_train_epoch_start = lambda self, trainer, task: stop() if trainer.current_epoch == 1 else None
    EpochLog.on_train_epoch_end = lambda self, trainer, task: None
cli.main(sys.argv[2:])
"""


def test_a_killed_sweep_ends_like_an_undisturbed_one(run: Run, world: Any, tmp_path: Path) -> None:
    undisturbed = run("sweep", *GRIDS).json
    store = tmp_path / "killed"
    for moment, rows in (("training", 0), ("searching", 1)):
        words = ["sweep", *world.words, f"store={store}", *GRIDS]
        command = [sys.executable, "-c", KILLED, moment, *words]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert len(list((store / "rows").glob("*.json"))) == rows
        networks = list((store / "artifacts").glob("*joint-*"))
        assert [path.name.startswith(".partial") for path in networks] == [moment == "training"]
    assert "going on with the training that was left" in done.stderr
    said = run("sweep", *GRIDS, store=store).json
    assert [said[name] for name in ("points", "ran", "skipped", "failed", "trained")] == [3, 2, 1, 0, []]
    ours, theirs = (read_results(each["paths"]["results"]).drop("seconds") for each in (said, undisturbed))
    assert ours.equals(theirs)
    assert not list(store.rglob(".partial-*")) and not list((store / "rows").glob(".*.json"))
