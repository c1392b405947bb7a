"""Memory that a search takes beyond the trie and the path vectors, in a process of its own."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from promise.bench.measure import Measure, Measurement, Skipped
from promise.bench.worlds import draw_users, sizes, world

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory(cfg: DictConfig) -> Iterator[Measure]:
    """Most bytes that a wide search adds to what it started from, at 10⁴ and at 10⁶ items.

    Raises:
        Skipped: If the system does not tell a process its peak.
    """
    s, quick = sizes(cfg), cfg.bench.quick
    if cfg.bench.device == "cpu" and not _RESET.exists():
        raise Skipped(f"needs {_RESET}, which Linux has")
    width, candidates = (200, 1000) if not quick else (s.width, 4 * s.width)
    found = {}
    for name, items in (("1e4", s.small), ("1e6", s.large)):
        arguments = (items, s.history, s.network, width, candidates, s.batch, cfg.bench.device)
        found[name] = apart(*arguments)
    note = f"guided, dot, W={width}, C={candidates}, batch {s.batch}; {s.layers}+{s.layers} layers, D={s.dim}"
    for name, size in found.items():
        yield Measure(f"memory_{name}", "GB", size / 1e9, goal=2.0, direction="at most", note=note)
    yield Measure(
        "memory_1e6_over_1e4",
        "GB",
        found["1e6"] / 1e9,
        found["1e4"] / 1e9,
        ratio=found["1e6"] / found["1e4"],
        goal=1.1,
        direction="at most",
        note=note,
    )


def apart(*arguments: Any) -> int:
    """`search_bytes` in a process of its own, where no memory is left over from other work."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(search_bytes, *arguments).result()


def search_bytes(
    items: int, history: int, network: list[str], width: int, candidates: int, batch: int, device: str
) -> int:
    """Peak memory of a search less the memory before it; one for a single user has built the path vectors by then."""
    ours = world(items, history, network, device=device)
    users = draw_users(batch, items, history, device)
    search = ours.search("guided", width=width, candidates=candidates)
    search.rank(users.batches(1)[0], width)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        search.rank(users, width)
        return torch.cuda.max_memory_allocated() - before
    before = resident("VmRSS")
    _RESET.write_text("5")  # the peak starts again from here
    search.rank(users, width)
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """Bytes of a field of this process's status: `VmRSS` now, `VmHWM` at the most."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{_STATUS} has no {field}")


MEASURES: dict[str, Measurement] = {"memory": memory}
