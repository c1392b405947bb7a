"""One training: what a killed one leaves is gone on from, and what is kept."""

from pathlib import Path

import pytest
import torch

from promise.pipeline.training_stage import RESUME, resumable


def test_resumable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / RESUME
    path.parent.mkdir()
    assert resumable(path) is None and caplog.text == ""
    torch.save({"epoch": 3}, path)
    assert resumable(path) == path
    path.write_bytes(path.read_bytes()[:100])
    assert resumable(path) is None
    assert "training begins anew" in caplog.text
