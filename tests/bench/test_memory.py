"""Memory of a search, read from the system."""

from pathlib import Path

import pytest
from omegaconf import DictConfig

from promise.bench import memory
from promise.bench.measure import Skipped
from promise.bench.worlds import sizes

LINUX = pytest.mark.skipif(not memory._RESET.exists(), reason="needs /proc")


@LINUX
def test_a_larger_search_takes_more(quick: DictConfig) -> None:
    s = sizes(quick)
    taken = [memory.apart(s.items, s.history, s.network, 32, 256, batch, "cpu") for batch in (2, 2000)]
    assert taken[1] - taken[0] > 2000 * 32 * 16 * 4  # at least one state of every beam


@LINUX
def test_fields_of_the_status() -> None:
    assert memory.resident("VmHWM") >= memory.resident("VmRSS") > 1e6
    with pytest.raises(RuntimeError, match="has no VmNothing"):
        memory.resident("VmNothing")


def test_a_system_that_does_not_tell(quick: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_RESET", Path("/nowhere"))
    with pytest.raises(Skipped, match=r"^needs /nowhere, which Linux has$"):
        next(memory.memory(quick))
