"""Launchers for real: workers in processes of their own, which find the options, hold the locks and leave rows."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from promise.analysis.results import read_results

Run = Callable[..., Any]


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parent.parent))


@pytest.fixture
def joblib_workers(one_thread: None) -> Iterator[None]:
    """Worker processes end with the test."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    from joblib.externals.loky import get_reusable_executor

    yield
    get_reusable_executor().shutdown(wait=True)


def logs(store: Path) -> str:
    """What all jobs logged."""
    return "".join(path.read_text() for path in store.glob("multiruns/*/*/*.log"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all launchers, whose first jobs prepare the data and train."""
    return tmp_path_factory.mktemp("launched")


def test_two_joblib_workers_train_the_same_networks_once(run: Run, store: Path, joblib_workers: None) -> None:
    answer = run("evaluate", "-m", "launcher=joblib", "search=plain", "search.width=10,12", store=store)
    assert answer.code == 0, answer.err
    said = logs(store)
    assert said.count("training joint: ") == 1 and said.count("epoch 2 of 2") == 1
    assert len(list((store / "artifacts").glob("joint-*"))) == 1
    grids = "sweep.grids=[{search:plain,search.width:[10,12,14]},{search:plain,search.width:[[5,5]]}]"
    said = run("sweep", "launcher=joblib", "sweep.name=workers", grids, store=store).json
    assert [said[name] for name in ("points", "ran", "skipped", "failed", "trained")] == [4, 1, 2, 1, []]
    table = read_results(said["paths"]["results"])
    here = run("sweep", "sweep.name=workers", grids, store=store).json
    assert read_results(here["paths"]["results"]).equals(table) and here["ran"] == 0


def test_workers_end_with_their_parent(world: Any, store: Path, one_thread: None) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    grids = "sweep.grids=[{training.patience:[99998,99999],search:plain}]"
    words = ["launcher=joblib", "sweep.name=two", grids, "training.epochs=99999", f"store={store}"]
    command = [sys.executable, "-m", "promise", "sweep", *world.words, *words]
    sweep = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: logs(store).count("epoch 1 of 99999") == 2)
        workers = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if parent_of(path) == sweep.pid]
        sweep.send_signal(signal.SIGTERM)
        assert sweep.wait(60) != 0 and len(workers) >= 2
        until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    finally:
        sweep.kill()


def until(holds: Callable[[], bool]) -> None:
    """Wait for something, two minutes at most."""
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come true in two minutes")


def parent_of(stat: Path) -> int | None:
    """The parent of a process, by its file in /proc; None where it is gone."""
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def test_a_job_of_submitit(run: Run, store: Path, one_thread: None) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    grids = "sweep.grids=[{search:popularity,evaluation.users:30}]"
    words = ("launcher=slurm", "hydra/launcher=submitit_local", "sweep.name=one", grids)
    said = run("sweep", *words, store=store).json
    assert [said[name] for name in ("points", "ran", "failed")] == [1, 1, 0]


def test_a_task_of_ray(world: Any, store: Path, one_thread: None) -> None:
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    grids = "sweep.grids=[{search:popularity,evaluation.users:31}]"
    words = ["launcher=ray", "hydra.launcher.ray.init.num_cpus=1", "sweep.name=one", grids]
    command = [sys.executable, "-m", "promise", "sweep", *world.words, f"store={store}", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (said,) = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert [said[name] for name in ("points", "ran", "failed")] == [1, 1, 0]
