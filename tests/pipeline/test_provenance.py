"""commit: the checkout's own, marked where files differ, none outside of one."""

import subprocess
from pathlib import Path

import pytest

import promise
from promise.pipeline.provenance import commit


def test_the_commit_and_whether_files_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "promise").mkdir()
    (tmp_path / "promise" / "__init__.py").write_text("")
    monkeypatch.setattr(promise, "__file__", str(tmp_path / "promise" / "__init__.py"))
    known = commit.__wrapped__
    assert known() is None
    (tmp_path / ".git").mkdir()
    assert known() is None  # git refuses: that is no repository
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    name = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True)[:12]
    assert known() == name
    (tmp_path / "promise" / "more.py").write_text("x = 1\n")
    assert known() == f"{name}-changed"
