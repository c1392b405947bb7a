"""progress: a bar on stderr for what takes long, where stderr is a terminal, and else a line when it is done."""

import logging
import sys
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")

log = logging.getLogger(__name__)

QUIET = 5.0  # seconds that need no line


def progress(
    steps: Sequence[T], description: str, sizes: Sequence[int] | None = None, unit: str = "steps"
) -> Iterator[T]:
    """The steps one by one, with a bar that says how much is done, how fast, and how long the rest will take.

    `sizes` are the units of each step, None = 1 each.
    """
    sizes = [1] * len(steps) if sizes is None else sizes
    total, done, began, said = sum(sizes), 0, perf_counter(), ""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn()
    terminal = sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=not terminal, transient=True) as bar:
        task = bar.add_task(description, total=total, said=said)
        for step, size in zip(steps, sizes, strict=True):
            yield step
            done += size
            seconds = perf_counter() - began
            said = f"{done:,} of {total:,} {unit}, {done / max(seconds, 1e-9):,.1f}/s"
            bar.update(task, advance=size, said=said)
    if not terminal and (seconds := perf_counter() - began) > QUIET:
        log.info("%s: %s, %.0f s", description, said, seconds)
