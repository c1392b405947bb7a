"""progress: what a bar and a log say."""

import io
import logging

import pytest

from promise.ids import progress as module
from promise.ids.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_with_count_and_rate(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    assert list(progress(["a", "b"], "toys", [3, 4], "items")) == ["a", "b"]
    assert "toys" in module.sys.stderr.getvalue() and "7 of 7 items" in module.sys.stderr.getvalue()


@pytest.mark.parametrize(("quiet", "lines"), [(60.0, 0), (-1.0, 1)])
def test_without_a_terminal_there_is_a_line_for_what_took_long(monkeypatch, caplog, capsys, quiet, lines):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "QUIET", quiet)
    assert list(progress(range(3), "steps of a toy")) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    assert [each.message.startswith("steps of a toy: 3 of 3 steps") for each in caplog.records] == [True] * lines
