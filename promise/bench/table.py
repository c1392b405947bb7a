"""Seconds and memory from a table of ten million events to histories, in a process of its own."""

import multiprocessing
import resource
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


def table(cfg: DictConfig) -> Iterator[Measure]:
    """Unsorted events of text ids in Parquet; goals: a tenth of 600 s and, libraries apart, of 8 GB for 10⁸."""
    events = 10**7 if not cfg.bench.quick else 10**4
    with tempfile.TemporaryDirectory() as folder:
        write_events(Path(folder) / "events.parquet", events)
        turns = []
        for _ in range(cfg.bench.repeats):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
                turns.append(child.submit(prepared, folder).result())
    seconds, sizes = zip(*turns, strict=True)
    note = f"{events:,} events, {events // 20:,} users"
    yield Timing(seconds).measure("prepare_table", 60, note)
    low, high = min(sizes) / 1e9, max(sizes) / 1e9
    yield Measure("prepare_table_memory", "GB", high, goal=1.1, direction="at most", low=low, high=high, note=note)


def write_events(path: Path, events: int) -> None:
    """Random users, items by Zipf's law, random seconds."""
    rng = np.random.default_rng(0)
    columns = {
        "user": rng.integers(events // 20, size=events),
        "item": rng.zipf(1.3, size=events) % 10**6,
        "time": rng.integers(1_400_000_000, 1_500_000_000, size=events),
    }
    ids = pl.format("U{}", pl.col("user")).alias("user"), pl.format("I{}", pl.col("item")).alias("item")
    pl.DataFrame(columns).with_columns(ids).write_parquet(path)


def prepared(folder: str) -> tuple[float, int]:
    """Seconds, and bytes of this process at the most, libraries included."""
    began = time.perf_counter()
    save_data(Table("events.parquet", root=folder).read(), Path(folder) / "data")
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


MEASURES: dict[str, Measurement] = {"prepare_table": table}
