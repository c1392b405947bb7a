"""Storages: a torn journal is mended, what cannot be reached is one line without its password."""

import sys
from pathlib import Path

import pytest

from promise.experiments.tuning.storage import JOURNAL, cut_torn_line, open_storage
from promise.pipeline.config import without_passwords
from tests.experiments.tuning.small_studies import begun, launch


def test_a_line_that_was_torn_is_cut_off(tmp_path: Path) -> None:
    study = begun(tmp_path, trials=3)
    study.tell(asked := study.ask()[0], launch([(asked, asked.overrides)])[0], 1)  # type: ignore[arg-type]
    study.close()
    path = tmp_path / JOURNAL
    whole = path.read_bytes()
    cut_torn_line(path)
    assert path.read_bytes() == whole
    path.write_bytes(whole + b'{"op_code": 4, "worker')
    again = begun(tmp_path, trials=3)
    content = path.read_bytes()
    assert len(again.counted()) == 1 and content.startswith(whole) and b'"op_code": 4, "worker' not in content
    again.close()
    cut_torn_line(tmp_path / "none.log")
    (tmp_path / "empty.log").touch()
    cut_torn_line(tmp_path / "empty.log")


@pytest.mark.parametrize(
    ("storage", "reason"),
    [
        ("sqlite:////nowhere/at/all/study.db", "unable to open database file"),
        ("nosuch://me:secret@127.0.0.1/db", "Can't load plugin: sqlalchemy.dialects:nosuch"),
    ],
)
def test_what_cannot_be_opened(tmp_path: Path, storage: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        open_storage(storage, tmp_path, "sweep.study.storage")
    message = str(error.value)
    assert message.startswith(f"sweep.study.storage={without_passwords(storage)} cannot be opened: ")
    assert reason in message and "secret" not in message and "\n" not in message


def test_a_missing_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ValueError, match=r"psycopg.*\(pip install 'psycopg\[binary\]' brings the driver of Pos"):
        open_storage("postgresql+psycopg://me@127.0.0.1/db", tmp_path, "sweep.study.storage")
