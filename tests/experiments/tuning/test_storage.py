"""Storages: a torn journal is mended, what cannot be reached is one line without its password."""

from pathlib import Path

import pytest

from promise.experiments.tuning.study import JOURNAL, cut_torn_line, open_storage
from promise.pipeline.config import without_passwords
from tests.experiments.tuning.small_studies import begun, row


def test_a_line_that_was_torn_is_cut_off(tmp_path: Path) -> None:
    study = begun(tmp_path, trials=3)
    study.tell(asked := study.ask()[0], row(asked.overrides))
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
        open_storage(storage, tmp_path, "sweep.study")
    message = str(error.value)
    assert message.startswith(f"sweep.study.storage={without_passwords(storage)} cannot be opened: ")
    assert reason in message and "secret" not in message and "\n" not in message


def test_a_database_holds_the_same(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    first, second = (begun(tmp_path / "a", trials=4, storage=url), begun(tmp_path / "a", trials=4, storage=url))
    while asked := first.ask() + second.ask():
        for each in asked:
            first.tell(each, row(each.overrides))
    assert len(first.counted()) == 4 and second.left() == 0
    for study in (first, second):
        study.close()
