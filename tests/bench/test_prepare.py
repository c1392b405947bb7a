"""Preparation by stages: every turn builds all of them anew, on the simulated shop and on files that are given."""

import gzip
import json
from pathlib import Path

import pytest
from omegaconf import DictConfig

from promise.bench import prepare

pytestmark = pytest.mark.filterwarnings("ignore:ids.codes clamped")


def test_stages_of_given_files(quick: DictConfig, tmp_path: Path) -> None:
    lines = [" ".join(map(str, [user, *((user + step) % 12 for step in range(5))])) for user in range(20)]
    (tmp_path / "Beauty.txt").write_text("\n".join(lines) + "\n")
    items = [{"id": item, "text": f"kind{item % 3} thing{item}"} for item in range(12)]
    (tmp_path / "items.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, items)).encode()))
    quick.bench.root = str(tmp_path)
    found = {m.name: m for m in prepare.prepare(quick)}
    assert list(found)[3:] == [f"prepare_beauty_{stage}" for stage in ("data", "embeddings", "ids")]
    assert found["prepare_beauty_ids"].note == "20 users, 12 items, 100 interactions"


def test_nothing_is_reused_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    built: list[list[str]] = []
    real = prepare.Pipeline

    class Noted(real):  # type: ignore[misc, valid-type]
        def __init__(self, cfg: DictConfig) -> None:
            super().__init__(cfg)
            built.append(self.built)

    monkeypatch.setattr(prepare, "Pipeline", Noted)
    for _ in range(2):
        prepare.built(["data=synthetic", "data.users=60", "data.items=80", "ids.codes=8"])
    assert built == [["data", "embeddings", "ids"]] * 2
    assert list(tmp_path.iterdir()) == []
