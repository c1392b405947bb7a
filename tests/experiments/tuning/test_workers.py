"""A worker counts as gone when it left, or when its process was killed; never while it is at work."""

import subprocess
import sys
from pathlib import Path

from promise.experiments.tuning.workers import Worker

SLEEPER = """
import sys, time
from pathlib import Path
from promise.experiments.tuning.workers import Worker
worker = Worker(Path(sys.argv[1]))
print(worker.path, flush=True)
time.sleep(60)
"""


def test_a_worker_is_alive_until_it_is_killed(tmp_path: Path) -> None:
    me = Worker(tmp_path)
    other = subprocess.Popen([sys.executable, "-c", SLEEPER, tmp_path], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    path = Path(other.stdout.readline().strip())
    assert not me.is_dead(path)
    other.kill()
    other.wait()
    other.stdout.close()
    assert me.is_dead(path) and not path.exists()
    assert me.is_dead(path)


def test_one_that_left_and_ones_of_other_machines(tmp_path: Path) -> None:
    me, other = Worker(tmp_path / "a"), Worker(tmp_path / "a")
    assert not me.is_dead(other.path)
    other.leave()
    assert me.is_dead(other.path)
    elsewhere = Path("/nowhere/farhost-1-abcdef01.lock")
    assert not me.is_dead(elsewhere)  # nothing is known of it
    me.path.with_name(elsewhere.name).touch()  # but its folder is ours, under another name
    assert me.is_dead(elsewhere)
    me.leave()
    assert list((tmp_path / "a").iterdir()) == []
