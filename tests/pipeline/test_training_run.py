"""One training: what a killed one leaves is gone on from, what is announced, and what is kept."""

from pathlib import Path

import pytest
import torch

from promise.pipeline.training_run import (
    RESUME,
    TRAINING_EFFICIENCY,
    Work,
    clear_checkpoints,
    matmul_flops,
    resumable,
)


def test_resumable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / RESUME
    path.parent.mkdir()
    assert resumable(path) is None and caplog.text == ""
    torch.save({"epoch": 3}, path)
    assert resumable(path) == path
    path.write_bytes(path.read_bytes()[:100])
    assert resumable(path) is None
    assert "training begins anew" in caplog.text


def test_the_announcement_says_what_is_to_come() -> None:
    work = Work(12345, 3, 7, 0, "32-true")
    assert work.announcement("sasrec") == "training sasrec: 12,345 parameters, 3 epochs of 7 steps, at most about 1 min"


@pytest.mark.parametrize("precision", TRAINING_EFFICIENCY)
def test_minutes_are_those_of_the_arithmetic_at_the_speed_of_this_machine(precision: str) -> None:
    speed = matmul_flops(precision)
    assert speed > 1e6
    work = Work(1, 1, 1, 6000 * speed * TRAINING_EFFICIENCY[precision], precision)
    assert work.minutes == pytest.approx(100)  # the speed is measured once a process


def test_checkpoints_go_once_the_networks_are_kept(tmp_path: Path) -> None:
    (tmp_path / RESUME).parent.mkdir()
    (tmp_path / RESUME).write_bytes(b"x")
    clear_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []
