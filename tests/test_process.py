"""What a process sets before torch is imported, and what it leaves alone."""

import ctypes
import os

import pytest

from promise.process import HEAP, configure_runtime


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []

    class Library:
        def __init__(self, name: None) -> None: ...

        def mallopt(self, parameter: int, value: int) -> None:
            calls.append((parameter, value))

    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    for name in ("MALLOC_ARENA_MAX", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    return calls


def test_threads_wait_and_memory_stays_unless_the_environment_says_otherwise(asked, monkeypatch):
    configure_runtime()
    assert asked == list(HEAP.values())
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    configure_runtime()
    assert len(asked) == len(HEAP) and os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_other_libraries_are_left_alone(asked, monkeypatch):
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    configure_runtime()
    assert asked == []
