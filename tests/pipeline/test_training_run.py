"""One training: what a killed one leaves is gone on from, and what is kept."""

from pathlib import Path

import pytest
import torch

from promise.pipeline.training_run import RESUME, clear_checkpoints, resumable


def test_resumable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / RESUME
    path.parent.mkdir()
    assert resumable(path) is None and caplog.text == ""
    torch.save({"epoch": 3}, path)
    assert resumable(path) == path
    path.write_bytes(path.read_bytes()[:100])
    assert resumable(path) is None
    assert "training begins anew" in caplog.text


def test_checkpoints_go_once_the_networks_are_kept(tmp_path: Path) -> None:
    (tmp_path / RESUME).parent.mkdir()
    (tmp_path / RESUME).write_bytes(b"x")
    clear_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []
