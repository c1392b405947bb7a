"""A measurement: functions timed turn by turn, and the figure that comes of it with its goal.

A module of measurements offers `MEASURES`: name -> function(cfg) that yields one `Measure` or several, raises `Skipped`
when a peer or a file is missing, and reads `cfg.bench` alone.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from omegaconf import DictConfig

#: Arithmetic of both sides of a comparison, by the suffix of its measures.
TYPES = {"": torch.float32, "_bf16": torch.bfloat16}


class Skipped(Exception):
    """A measurement that cannot be made here; the message says what it needs."""


@dataclass(frozen=True)
class Measure:
    """One row of the table.

    Attributes:
        name: Short and stable: the key in the JSON.
        unit: Of `ours` and `theirs`.
        ours: Our figure; None = none.
        theirs: The same of the peer, or of the limit that we are held against; None = there is none.
        ratio: What is judged when there are two sides; None = `ours` is.
        goal: What the judged figure should reach; None = none.
        direction: `at least` or `at most` the goal.
        low: Least value of the judged figure over the turns.
        high: Greatest value.
        note: Sizes and settings that the figure holds for.
        dtype: Arithmetic of our side; empty where there is none to speak of.
    """

    name: str
    unit: str
    ours: float | None
    theirs: float | None = None
    ratio: float | None = None
    goal: float | None = None
    direction: str = "at least"
    low: float | None = None
    high: float | None = None
    note: str = ""
    dtype: str = "float32"

    @property
    def value(self) -> float | None:
        """The figure that the goal is about."""
        return self.ours if self.ratio is None else self.ratio

    @property
    def verdict(self) -> str:
        """`met` or `missed`; empty without a goal."""
        if self.goal is None or self.value is None:
            return ""
        met = self.value >= self.goal if self.direction == "at least" else self.value <= self.goal
        return "met" if met else "missed"


@dataclass(frozen=True)
class Timing:
    """Seconds of one function, turn by turn."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    def over(self, other: "Timing", factor: float = 1.0) -> dict[str, Any]:
        """`factor` x these seconds / those: of medians, and the least and greatest of the turns; fields of `Measure`.

        >>> Timing((2.0, 4.0, 9.0)).over(Timing((1.0, 2.0, 3.0)))
        {'ratio': 2.0, 'low': 2.0, 'high': 3.0}
        """
        turns = [factor * mine / yours for mine, yours in zip(self.seconds, other.seconds, strict=True)]
        return {"ratio": factor * self.median / other.median, "low": min(turns), "high": max(turns)}

    def measure(self, name: str, goal: float, note: str) -> Measure:
        """These seconds themselves; the goal is an upper end."""
        low, high = min(self.seconds), max(self.seconds)
        return Measure(name, "s", self.median, goal=goal, direction="at most", low=low, high=high, note=note)

    def rate(self, theirs: "Timing", work: tuple[float, float], name: str, unit: str, **fields: Any) -> Measure:
        """Pieces of work per second, ours and theirs, who had so many each; how many times more ours are."""
        ratio = theirs.over(self, work[0] / work[1])
        return Measure(name, unit, work[0] / self.median, work[1] / theirs.median, **ratio, **fields)

    def time(self, theirs: "Timing", name: str, unit: str = "ms", pieces: int = 1, **fields: Any) -> Measure:
        """Milliseconds per piece of work, ours and theirs, and ours over theirs; a goal is an upper end."""
        ours, other = (1e3 * timing.median / pieces for timing in (self, theirs))
        return Measure(name, unit, ours, other, direction="at most", **self.over(theirs), **fields)


Measurement = Callable[[DictConfig], Iterator[Measure]]


def middle(runs: Sequence[Measure]) -> Measure:
    """The run with the median of the judged figures (the lower one of two), with the range of all runs if several.

    >>> found = middle([Measure("quick", "s", seconds) for seconds in (4.0, 9.0, 2.0)])
    >>> found.value, found.low, found.high
    (4.0, 2.0, 9.0)
    """
    known = sorted((run for run in runs if run.value is not None), key=lambda run: run.value or 0.0)
    if len(known) < 2:
        return known[0] if known else runs[-1]
    return replace(known[(len(known) - 1) // 2], low=known[0].value, high=known[-1].value)


def interleaved(functions: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 1) -> dict[str, Timing]:
    """Time functions in turns, so that whatever else the machine does falls on all of them alike.

    `torch.utils.benchmark` times one function after the other and warms up before every call. Each turn begins with
    another function; `warm_up` calls of each before the first turn are not timed.
    """
    names = list(functions)
    for name in names * warm_up:
        functions[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            seconds[name].append(clocked(functions[name]))
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def clocked(function: Callable[[], object]) -> float:
    """Seconds of one call, an accelerator's work included."""
    synchronise = torch.cuda.synchronize if torch.cuda.is_initialized() else lambda: None
    synchronise()
    began = time.perf_counter()
    function()
    synchronise()
    return time.perf_counter() - began


def type_name(dtype: torch.dtype) -> str:
    """A type as the table has it: `float32`."""
    return str(dtype).removeprefix("torch.")
