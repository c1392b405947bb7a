"""What a sweep shows: paired differences between its points, each with its interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promise.analysis.curves import COUNTS
from promise.metrics.intervals import Interval, paired_interval
from promise.metrics.ranking import recall_values

#: Coverage of an interval, and of the intervals of all steps in C together.
LEVEL = 0.95

#: Columns that must agree for two points to be compared user by user, and those that name their networks.
USERS = ("data", "data_fingerprint", "split", "users", "seed", "seen", "allow", "deny")
NETWORKS = ("generator", "reward", "training", "networks")


@dataclass(frozen=True)
class Measured:
    """A point's row and what is known of each user's target.

    Attributes:
        row: The row.
        ranks: (n,) its 0-based rank.
        kept: (n, L) whether its own prefix was kept, by level; None where that is not known.
    """

    row: dict[str, Any]
    ranks: NDArray[np.int64]
    kept: NDArray[np.bool_] | None = None

    def dial(self, name: str) -> Any:
        """A search dial of the point; None where it can't act."""
        return self.row.get(f"search.{name}")

    @property
    def model(self) -> tuple[Any, ...]:
        """What must agree for two points to be compared user by user."""
        return tuple(self.row.get(name) for name in USERS)

    @property
    def networks(self) -> tuple[Any, ...]:
        """The networks the point searched with: options by name, and their contents."""
        return tuple(self.row.get(name) for name in NETWORKS)


@dataclass(frozen=True)
class Finding:
    """A difference in Recall@10, or in accuracy per level.

    Attributes:
        text: What is compared with what.
        difference: First minus second.
        low: Lower end of the 95 % interval; None where none is computed.
        high: Upper end.
    """

    text: str
    difference: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """Whether the interval excludes 0."""
        if self.low is None or self.high is None:
            return ""
        return "above 0" if self.low > 0 else "below 0" if self.high < 0 else "not told apart"

    def cells(self) -> list[Any]:
        """The row of the printed table."""
        return [self.text, self.difference, self.low, self.high, self.verdict]

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {"text": self.text, "difference": self.difference, "low": self.low, "high": self.high}


def findings(points: Sequence[Measured]) -> list[Finding]:
    """Everything worth saying that the points allow.

    Args:
        points: Measured points of one sweep, in any order.

    Returns:
        Guided against plain at equal width; steps in C; plain beams made wider; the shuffled reward; baselines;
        drift. Only points on the same users, and for searches with the same networks, are compared; where there are
        several such groups, a text begins with what tells its group from the others.
    """
    compared = list(groups(points))
    rows = [group[0].row for group in compared]
    differing = [name for name in (*USERS, *NETWORKS) if len({row.get(name) for row in rows}) > 1]
    readable = [name for name in differing if name != "networks"]  # a hash, told only where it is needed
    if len({tuple(row.get(name) for name in readable) for row in rows}) == len(rows):
        differing = readable
    return [
        replace(finding, text=" ".join([*(f"{name}={row.get(name)}" for name in differing), finding.text]))
        for row, group in zip(rows, compared, strict=True)
        for finding in of_group(group)
    ]


def groups(points: Sequence[Measured]) -> Iterator[list[Measured]]:
    """Points that may be compared: same users, same networks; baselines belong to every group."""
    for model in dict.fromkeys(p.model for p in points):
        same = [p for p in points if p.model == model]
        counts = [p for p in same if p.row["search"] in COUNTS]
        searches = [p for p in same if p not in counts]
        for networks in dict.fromkeys(p.networks for p in searches):
            yield [p for p in searches if p.networks == networks] + counts


def of_group(points: list[Measured]) -> Iterator[Finding]:
    """Findings of points that may be compared; a point of fewer than 10 beams has no Recall@10."""
    rows = [p.row for p in points]
    points = [p for p in points if p.row.get("recall@10") is not None]
    plain = {p.dial("width"): p for p in points if p.row["search"] == "plain" and number(p.dial("width"))}
    judged = [p for p in points if p.row["search"] == "guided" and p.dial("weight") == 1]
    shuffled = [p for p in judged if p.dial("control") == "shuffled"]
    guided: dict[Any, list[Measured]] = {}
    for point in sorted((p for p in judged if p not in shuffled and number(p.dial("candidates"))), key=candidates):
        guided.setdefault(point.dial("width"), []).append(point)
    together = sum(len(steps) - 1 for steps in guided.values() if len(steps) > 2)
    for width, steps in guided.items():
        most = steps[-1]
        name = f"guided W={width} C={candidates(most)}"
        if width in plain:
            yield difference(name, most, f"plain W={width}", plain[width])
        wider = [w for w in plain if w >= 4 * width]
        if wider:
            yield difference(name, most, f"plain W={min(wider)}", plain[min(wider)])
        for control in (p for p in shuffled if p.dial("width") == width):
            if width in plain:
                text = f"guided W={width} C={candidates(control)}, reward shuffled"
                yield difference(text, control, f"plain W={width}", plain[width])
        if len(steps) > 1:
            yield difference(f"guided W={width} C={candidates(most)}", most, f"C={candidates(steps[0])}", steps[0])
        if len(steps) > 2:
            # "No step falls" asks all of them at once: their intervals hold together (Bonferroni).
            level = 1 - (1 - LEVEL) / together
            for before, after in pairwise(steps):
                text = f"  step W={width} C={candidates(after)}"
                yield difference(text, after, f"C={candidates(before)}", before, level)
    for point in points:
        if point.row["search"] in COUNTS:
            if plain:
                best = max(plain)
                yield difference(f"plain W={best}", plain[best], point.row["search"], point)
            if guided:
                most = guided[max(guided)][-1]
                text = f"guided W={most.dial('width')} C={candidates(most)}"
                yield difference(text, most, point.row["search"], point)
    for row in rows:
        if "teacher_forced@1" in row:
            yield from drift(row)
            break


def number(value: Any) -> bool:
    return isinstance(value, int | float)


def candidates(point: Measured) -> Any:
    return point.dial("candidates")


def difference(name: str, first: Measured, other: str, second: Measured, level: float = LEVEL) -> Finding:
    """Paired difference in Recall@10 over users, with the interval of a level."""
    values = (recall_values(first.ranks, 10), recall_values(second.ranks, 10))
    interval: Interval = paired_interval(*values, seed=0, level=level)
    return Finding(f"recall@10: {name} − {other}", interval.mean, interval.low, interval.high)


def drift(row: dict[str, Any]) -> Iterator[Finding]:
    """Accuracy per level after the true codes minus after the model's own."""
    level = 1
    while f"teacher_forced@{level}" in row:
        forced, free = row[f"teacher_forced@{level}"], row[f"free_running@{level}"]
        text = f"accuracy at level {level}: teacher-forced {forced:.3f} − free-running {free:.3f}"
        yield Finding(text, forced - free, None, None)
        level += 1
