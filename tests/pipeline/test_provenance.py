"""commit: the checkout's own, marked where files differ, none outside of one."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import promise
from promise.pipeline import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "promise").mkdir()
    (tmp_path / "promise" / "__init__.py").write_text("")
    monkeypatch.setattr(promise, "__file__", str(tmp_path / "promise" / "__init__.py"))
    provenance.commit.cache_clear()
    yield tmp_path
    provenance.commit.cache_clear()


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_and_whether_files_differ(checkout: Path) -> None:
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "one")
    name = git(checkout, "rev-parse", "HEAD")[:12]
    assert provenance.commit() == name
    provenance.commit.cache_clear()
    (checkout / "promise" / "more.py").write_text("x = 1\n")
    assert provenance.commit() == f"{name}-changed"


def test_no_checkout(checkout: Path) -> None:
    assert provenance.commit() is None
    (checkout / ".git").mkdir()
    provenance.commit.cache_clear()
    assert provenance.commit() is None  # git refuses: that is no repository
