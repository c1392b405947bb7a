"""One training: what a killed one leaves is gone on from, and what is kept."""

import re
from pathlib import Path

import pytest
import torch

from promise.pipeline.training_run import NETWORKS, RESUME, file_fingerprint, keep, resumable


def test_resumable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / RESUME
    path.parent.mkdir()
    assert resumable(path) is None and caplog.text == ""
    torch.save({"epoch": 3}, path)
    assert resumable(path) == path
    path.write_bytes(path.read_bytes()[:100])
    assert resumable(path) is None
    assert "training begins anew" in caplog.text


def test_what_is_kept_takes_the_place_of_the_checkpoints(tmp_path: Path) -> None:
    (tmp_path / RESUME).parent.mkdir()
    (tmp_path / RESUME).write_bytes(b"x")
    first = keep({"weight": torch.ones(3)}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NETWORKS]
    assert first == file_fingerprint(tmp_path / NETWORKS) and re.fullmatch(r"[0-9a-f]{16}", first)
