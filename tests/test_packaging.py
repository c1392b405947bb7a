"""What is given away: the wheel holds all that the program reads and nothing else, and works alone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import promise

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    words = ["build", "-t", "wheel", "-d", str(folder)]
    subprocess.run([sys.executable, "-m", "hatchling", *words], cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.iterdir()
    return found


def test_the_wheel_holds_what_the_program_reads(wheel: Path) -> None:
    assert wheel.name == f"promise_genrec-{promise.__version__}-py3-none-any.whl"
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {"hydra_plugins/promise_optuna.py", "promise/py.typed"}
    for above, pattern in (
        ("", "promise/**/*.py"),
        ("", "promise/**/*.j2"),
        ("promise/", "conf/**/*.yaml"),
        ("promise/", "sweeps/*.yaml"),
        ("promise/", "sweeps/leaderboard/**/*.parquet"),
    ):
        expected |= {above + path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern)}
    assert held == expected


def test_the_wheel_works_alone(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    words = ["-P", "-m", "promise", "evaluate", "--help"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "search=guided\n" in done.stdout and "quickstart" in done.stdout, done.stderr


def test_the_citation_has_the_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == promise.__version__
