"""Findings of a sweep: paired differences between its points, each with its interval."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promise.analysis.results import COUNTS
from promise.analysis.units import flops_text
from promise.metrics.intervals import paired_interval
from promise.metrics.ranking import ndcg_values, recall_values

#: Coverage of an interval, and of the intervals of all steps in C together.
LEVEL = 0.95

#: Metrics of a user by the rank of the target.
VALUES = {"recall": recall_values, "ndcg": ndcg_values}

#: Columns that must agree for two points to be compared user by user, and those that name their networks.
USERS = ("data", "data_fingerprint", "split", "users", "seed", "seen", "allow", "deny")
NETWORKS = ("generator", "reward", "training", "networks", "cooccurrence.scale")


@dataclass(frozen=True)
class Measured:
    """A point's row and what is known of each user's target."""

    row: dict[str, Any]
    ranks: NDArray[np.int64]  # (n,) its 0-based rank
    kept: NDArray[np.bool_] | None = None  # (n, L) whether its own prefix was kept, by level; None = not known

    def values(self, metric: str) -> NDArray[np.float64] | None:
        """(n,) a metric (`recall@10`, `hrecall@2`) of every user; None where it is not known."""
        name, at = metric.split("@")
        if name == "hrecall":
            return None if self.kept is None else self.kept[:, int(at) - 1].astype(np.float64)
        if self.row.get(metric) is None:  # the lists are too short for it
            return None
        return VALUES[name](self.ranks, int(at))

    def dial(self, name: str) -> Any:
        """A search dial of the point; None where it can't act."""
        return self.row.get(f"search.{name}")

    @property
    def shuffled(self) -> bool:
        """Whether its rewards were shuffled, as a control."""
        return self.dial("control") not in (None, "none")

    @property
    def users(self) -> tuple[Any, ...]:
        """Key that two points must share to be compared user by user."""
        return tuple(self.row.get(name) for name in USERS)

    @property
    def networks(self) -> tuple[Any, ...]:
        """The networks the point searched with: options by name, and their contents."""
        return tuple(self.row.get(name) for name in NETWORKS)


@dataclass(frozen=True)
class Finding:
    """A difference in Recall@10, or in accuracy per level."""

    text: str  # what is compared with what
    difference: float  # first minus second
    low: float | None  # lower end of the 95 % interval; None where none is computed
    high: float | None  # upper end

    def cells(self) -> list[Any]:
        """The row of the printed table."""
        return [*asdict(self).values(), verdict(self.low, self.high)]


def verdict(low: float | None, high: float | None) -> str:
    """Whether an interval excludes 0, in words; empty where there is none."""
    if low is None or high is None:
        return ""
    return "above 0" if low > 0 else "below 0" if high < 0 else "not told apart"


def findings(points: Sequence[Measured]) -> list[Finding]:
    """Everything worth saying that the points of one sweep, in any order, allow.

    Returns:
        Guided against plain at equal width; steps in C; plain beams made wider; the shuffled reward; baselines;
        smaller generators with guidance against larger ones without. Only points on the same users, and but for
        the last for searches with the same networks, are compared; where there are several such groups, a text begins
        with what tells its group from the others.
    """
    # Fewer than 10 beams have no Recall@10; the C of adaptive candidates is a mean, and no step beside fixed ones.
    points = [p for p in points if p.row.get("recall@10") is not None and p.dial("adaptive") is None]
    compared = list(groups(points))
    together = sum(len(steps) - 1 for group in compared for steps in by_width(group).values() if len(steps) > 2)
    rows = [group[0].row for group in compared]
    differing = [name for name in (*USERS, *NETWORKS) if len({row.get(name) for row in rows}) > 1]
    readable = [name for name in differing if name != "networks"]  # a hash, told only where it is needed
    if len({tuple(row.get(name) for name in readable) for row in rows}) == len(rows):
        differing = readable
    found = [
        replace(finding, text=" ".join([*(f"{name}={row.get(name)}" for name in differing), finding.text]))
        for row, group in zip(rows, compared, strict=True)
        for finding in differences(group, together)
    ]
    return [*found, *sizes(points)]


def groups(points: Sequence[Measured]) -> Iterator[list[Measured]]:
    """Points that may be compared: same users, same networks; baselines belong to every group."""
    for users in dict.fromkeys(p.users for p in points):
        same = [p for p in points if p.users == users]
        counts = [p for p in same if p.row["search"] in COUNTS]
        searches = [p for p in same if p not in counts]
        for networks in dict.fromkeys(p.networks for p in searches):
            yield [p for p in searches if p.networks == networks] + counts


def by_width(points: Sequence[Measured]) -> dict[Any, list[Measured]]:
    """Guided points at λ = 1 by width, in the order of their C."""
    found: dict[Any, list[Measured]] = {}
    for point in sorted((p for p in points if judged(p) and not p.shuffled and number(candidates(p))), key=candidates):
        found.setdefault(point.dial("width"), []).append(point)
    return found


def differences(points: Sequence[Measured], together: int) -> Iterator[Finding]:
    """Differences in Recall@10 between points that may be compared; intervals of `together` steps in C hold at once."""
    plain = {p.dial("width"): p for p in points if p.row["search"] == "plain" and number(p.dial("width"))}
    guided = by_width(points)
    for width, steps in guided.items():
        most = steps[-1]
        name = f"guided W={width} C={candidates(most)}"
        for other in (width, min((w for w in plain if w >= 4 * width), default=None)):
            if other in plain:
                yield difference(name, most, f"plain W={other}", plain[other])
        for control in (p for p in points if judged(p) and p.shuffled and p.dial("width") == width and width in plain):
            text = f"guided W={width} C={candidates(control)}, reward shuffled"
            yield difference(text, control, f"plain W={width}", plain[width])
        for last in (p for p in points if p.row["search"] == "last_level" and p.dial("width") == width):
            if equal := next((p for p in steps if candidates(p) == candidates(last)), None):
                text = f"guided W={width} C={candidates(equal)}"
                yield difference(text, equal, "its reward at the last level alone", last)
        if len(steps) > 1:
            yield difference(name, most, f"C={candidates(steps[0])}", steps[0])
        # "No step falls" asks all of them at once: their intervals hold together (Bonferroni).
        for before, after in pairwise(steps) if len(steps) > 2 else ():
            text = f"  step W={width} C={candidates(after)}"
            yield difference(text, after, f"C={candidates(before)}", before, 1 - (1 - LEVEL) / together)
    widest = [(f"plain W={max(plain)}", plain[max(plain)])] if plain else []
    if guided:
        most = guided[max(guided)][-1]
        widest.append((f"guided W={most.dial('width')} C={candidates(most)}", most))
    for baseline in (p for p in points if p.row["search"] in COUNTS and p.row["search"] != "oracle"):
        for name, point in widest:
            yield difference(name, point, str(baseline.dial("file") or baseline.row["search"]), baseline)


def judged(point: Measured) -> bool:
    """Whether the reward alone guides the point's search."""
    return bool(point.row["search"] == "guided" and point.dial("weight") == 1)


def number(value: Any) -> bool:
    """Whether a dial holds one number for all levels."""
    return isinstance(value, int | float)


def candidates(point: Measured) -> Any:
    """C of a point."""
    return point.dial("candidates")


def difference(name: str, first: Measured, other: str, second: Measured, level: float = LEVEL) -> Finding:
    """Paired difference in Recall@10 over users, with the interval of a level."""
    hits, others = (VALUES["recall"](point.ranks, 10) for point in (first, second))
    found = paired_interval(hits, others, seed=0, level=level)
    return Finding(f"recall@10: {name} − {other}", found.mean, found.low, found.high)


def sizes(points: Sequence[Measured]) -> Iterator[Finding]:
    """Every guided generator (λ = 1, its largest C of a width) minus every larger one's plain beam of that width.

    Only points on the same users, trained in the same way with the same kind of reward, are compared.
    """
    usable = [p for p in points if p.row.get("parameters") is not None]
    usable = [p for p in usable if number(p.dial("width")) and number(candidates(p)) and not p.shuffled]
    plain: dict[tuple[Any, str], Measured] = {}
    guided: dict[tuple[Any, str], Measured] = {}
    shared = (*USERS, "reward", "training", "cooccurrence.scale", "search.width")
    for p in sorted(usable, key=lambda p: (p.row["parameters"], candidates(p))):
        key = tuple(p.row.get(name) for name in shared), p.row["generator"]
        if p.row["search"] == "plain":
            plain[key] = p
        elif judged(p):
            guided[key] = p
    for (same, generator), smaller in guided.items():
        for (other, name), larger in plain.items():
            own = plain.get((same, generator))
            if own is not None and other == same and larger.row["parameters"] > own.row["parameters"]:
                costs = [flops_text(p.row["flops_per_user"]) for p in (smaller, larger)]
                dials = f"W={smaller.dial('width')} C={candidates(smaller)}"
                text = f"{generator} guided {dials}, {costs[0]}"
                yield difference(text, smaller, f"{name} plain W={larger.dial('width')}, {costs[1]}", larger)
