"""What a benchmark says: the table, the CSV with every figure's range, and the JSON of its last line."""

import csv
import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import promise
from promise.bench.measure import Measure
from promise.pipeline.verb import show

PACKAGES = ("torch", "transformers", "cornac", "faiss-cpu")
COLUMNS = (
    "measure",
    "ours",
    "theirs",
    "unit",
    "ratio",
    "goal",
    "met",
    "low",
    "high",
    "note",
    "machine",
    "dtype",
    "threads",
    "versions",
)


def show_table(title: str, measures: Sequence[Measure]) -> None:
    """Print the measures, and the machine on the line below."""
    rows = [
        [m.name, figure(m.ours), figure(m.theirs), m.unit, figure(m.ratio), goal(m), verdict(m), m.note]
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


def goal(measure: Measure) -> str:
    """The goal with its direction."""
    if measure.goal is None:
        return ""
    return f"{'≥' if measure.direction == 'at least' else '≤'} {measure.goal:g}"


def verdict(measure: Measure) -> str:
    """met, missed, or nothing without a goal."""
    return "" if measure.met is None else "met" if measure.met else "missed"


def save(measures: Sequence[Measure], path: Path) -> None:
    """Write the table as CSV, one row a measure; the file appears whole."""
    facts = {"machine": machine(), "threads": torch.get_num_threads(), "versions": versions()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for m in measures:
            row = {"measure": m.name, **{name: getattr(m, name) for name in ("unit", "goal", "note", "dtype")}}
            numbers = {name: rounded(getattr(m, name)) for name in ("ours", "theirs", "ratio", "low", "high")}
            writer.writerow({**row, **numbers, "met": verdict(m), **facts})
    part.rename(path)


def rounded(value: float | None) -> float | None:
    """Six significant digits."""
    return None if value is None else float(f"{value:.6g}")


def summary(measures: Sequence[Measure], skipped: Mapping[str, str]) -> dict[str, Any]:
    """The last line: judged figures by name, what was reached, what was not, what could not be measured."""
    judged = [m for m in measures if m.met is not None]
    return {
        "verb": "bench",
        "ratios": {m.name: rounded(m.value) for m in measures},
        "met": sum(1 for m in judged if m.met),
        "missed": [m.name for m in judged if not m.met],
        "skipped": dict(skipped),
    }


def machine() -> str:
    """Processor or GPU, and the number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        models = [
            line.partition(":")[2].strip() for line in information.read_text().splitlines() if "model name" in line
        ]
        name = models[0] if models else name
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
