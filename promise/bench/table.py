"""Seconds and memory from a table of events to histories, in a process of its own."""

import multiprocessing
import re
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
from omegaconf import DictConfig

from promise.bench.measure import Measure, Measurement, Timing
from promise.data.sources.table import Table
from promise.pipeline.preparation import save_data

#: Events that are drawn at a time.
PART = 10**7


def table(cfg: DictConfig) -> Iterator[Measure]:
    """Unsorted events of text ids in Parquet; goals: 600 s and 8 GB for 10⁸, of which .4 GB are the libraries."""
    events = cfg.bench.events if not cfg.bench.quick else 10**4
    with tempfile.TemporaryDirectory() as folder:
        write_events(Path(folder) / "events.parquet", events)
        turns = []
        for _ in range(cfg.bench.repeats):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
                turns.append(child.submit(prepared, folder).result())
    seconds, sizes = zip(*turns, strict=True)
    note, share = f"{events:,} events, {max(events // 20, 1):,} users", events / 10**8
    yield Timing(seconds).measure("prepare_table", 600 * share, note)
    if None not in sizes:
        low, high, goal = min(sizes) / 1e9, max(sizes) / 1e9, 0.4 + 7.6 * share
        yield Measure("prepare_table_memory", "GB", high, goal=goal, direction="at most", low=low, high=high, note=note)


def write_events(path: Path, events: int) -> None:
    """Random users, items by Zipf's law, random seconds; whose texts are made part by part while they are written."""
    parts = [_events(events, start) for start in range(0, events, PART)]
    pl.concat(parts).sink_parquet(path)


def _events(events: int, start: int) -> pl.LazyFrame:
    rng = np.random.default_rng(start)
    rows = min(PART, events - start)
    columns = {
        "user": rng.integers(max(events // 20, 1), size=rows),
        "item": rng.zipf(1.3, size=rows) % 10**6,
        "time": rng.integers(1_400_000_000, 1_500_000_000, size=rows),
    }
    ids = pl.format("U{}", pl.col("user")).alias("user"), pl.format("I{}", pl.col("item")).alias("item")
    return pl.LazyFrame(columns).with_columns(ids)


def prepared(folder: str) -> tuple[float, int | None]:
    """Seconds, and bytes of this process at the most, libraries included; None where the system does not tell.

    The resource usage of a started process begins with what its parent had; Linux' own peak of the process does not.
    """
    began = time.perf_counter()
    save_data(Table("events.parquet", root=folder).read(), Path(folder) / "data")
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status")
    peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return seconds, None if peak is None else int(peak[1]) * 1024


MEASURES: dict[str, Measurement] = {"prepare_table": table}
