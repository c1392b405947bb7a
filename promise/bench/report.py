"""The table of a benchmark: on the terminal, as CSV with every figure's range, and as the JSON of its last line."""

import dataclasses
import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch

import promise
from promise.analysis.results import write_csv
from promise.bench.measure import Measure
from promise.pipeline.verb import show

PACKAGES = ("torch", "transformers", "cornac")
COLUMNS = [
    *("measure", "ours", "theirs", "unit", "ratio", "goal", "met", "low", "high", "note"),
    *("machine", "dtype", "threads", "versions"),
]


def show_table(title: str, measures: Sequence[Measure]) -> None:
    """Print the measures, and the machine on the line below."""
    signs = {"at least": "≥", "at most": "≤"}
    rows = [
        [
            *(m.name, figure(m.ours), figure(m.theirs), m.unit, figure(m.ratio)),
            *("" if m.goal is None else f"{signs[m.direction]} {m.goal:g}", m.verdict, m.note),
        ]
        for m in measures
    ]
    show(title, ["measure", "ours", "theirs", "unit", "ratio", "goal", "", "what"], rows)
    dtypes = ", ".join(sorted({m.dtype for m in measures if m.dtype}))
    print(f"\n{machine()}; {torch.get_num_threads()} threads; {dtypes}; {versions()}")


def figure(value: float | None) -> str:
    """Four digits of a number.

    >>> [figure(value) for value in (None, 0.0123456, 12.3456, 12101, 1e7)]
    ['–', '0.01235', '12.35', '12,101', '10,000,000']
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def save(measures: Sequence[Measure], path: Path) -> None:
    """Write the table as CSV, one row a measure; the file appears whole."""
    rows = [{**dataclasses.asdict(m), "measure": m.name, "met": m.verdict} for m in measures]
    facts = {"machine": machine(), "threads": torch.get_num_threads(), "versions": versions()}
    table = pl.DataFrame(rows, infer_schema_length=None).with_columns(**{n: pl.lit(v) for n, v in facts.items()})
    numbers = [name for name in ("ours", "theirs", "ratio", "goal", "low", "high") if name in table.columns]
    table = table.with_columns(pl.col(numbers).cast(pl.Float64).round_sig_figs(6)) if rows else table
    write_csv(table.select(COLUMNS) if rows else pl.DataFrame(schema=COLUMNS), path)


def summary(measures: Sequence[Measure], skipped: Mapping[str, str]) -> dict[str, Any]:
    """The last line: judged figures by name, which goals were reached and which not, what could not be measured."""
    return {
        "verb": "bench",
        "ratios": {m.name: None if m.value is None else float(f"{m.value:.6g}") for m in measures},
        "met": sum(m.verdict == "met" for m in measures),
        "missed": [m.name for m in measures if m.verdict == "missed"],
        "skipped": dict(skipped),
    }


def machine() -> str:
    """Processor or GPU, and the number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    information = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", information.read_text()) if information.exists() else None
    name = model[1] if model else platform.processor() or platform.machine()
    gpu = f" + {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {cores} cores{gpu}"


def versions() -> str:
    """promise, Python and the libraries that are installed."""
    found = [f"promise {promise.__version__}", f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
