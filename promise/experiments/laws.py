"""The scaling laws of a sweep: which points make one curve over C, its fits as rows, its figures."""

import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from promise.analysis.fit import Comparison, Fit, NoFit, fit_all
from promise.analysis.plots.drawing import save_figure
from promise.analysis.plots.laws import LawPanel, LevelCurve, law_figure, level_figure
from promise.experiments.findings import Measured
from promise.metrics.ranking import ndcg_values, recall_values

log = logging.getLogger(__name__)

#: Fewest different C of one search that a law is looked for in: four to fit and one to hold it against.
FEWEST = 5

#: Accuracy that laws are fitted to, by user.
ACCURACY: dict[str, Callable[[NDArray[np.int64]], NDArray[np.float64]]] = {
    "recall@10": lambda ranks: recall_values(ranks, 10),
    "ndcg@10": lambda ranks: ndcg_values(ranks, 10),
}

#: What the names of HRecall at a level begin with.
HRECALL = "hrecall@"

#: What accuracy is charted against.
ALONG = ("candidates", "flops_per_user")

#: Heading and columns of the printed table.
LAWS_TITLE = "Scaling laws over C, fitted without the largest C (x0 = smallest C; errors at the largest: 95 %)"
LAWS_COLUMNS = ["", "law", "a", "b", "c", "predicted", "observed", "error", ""]

SAME = ("data", "split", "users", "seen", "allow", "deny", "generator", "reward", "training")
VARYING = ("search.candidates", "search.expansion")


@dataclass(frozen=True)
class Group:
    """The guided points of one width, λ and recipe: a curve over C.

    Attributes:
        row: A row of the group, for what all its points share.
        points: C -> the point of every seed, seeds in the same order for every C; C rising.
        seeds: The seeds that have all C.
    """

    row: dict[str, Any]
    points: dict[float, list[Measured]]
    seeds: tuple[int, ...]

    def values(self, metric: str) -> NDArray[np.float64]:
        """(points, users) of a metric, averaged over the seeds of a user."""
        return np.stack([np.mean([values_of(p, metric) for p in same], axis=0) for same in self.points.values()])

    @property
    def metrics(self) -> list[str]:
        """What has a value for every user of every point: accuracy, and HRecall by level where it is known by user."""
        kept = [point.kept for same in self.points.values() for point in same]
        levels = min(0 if of is None else of.shape[1] for of in kept)
        names = (f"{HRECALL}{level}" for level in range(1, levels + 1))
        return [*(name for name in ACCURACY if self.mean(name) is not None), *names]

    def mean(self, column: str) -> list[float] | None:
        """A column's mean over the seeds for every C; None where a point has no value."""
        found: list[list[Any]] = [[p.row.get(column) for p in same] for same in self.points.values()]
        if any(value is None for values in found for value in values):
            return None
        return [float(np.mean(values)) for values in found]


def values_of(point: Measured, metric: str) -> NDArray[np.float64]:
    """(n,) of a metric, by user."""
    if metric in ACCURACY:
        return ACCURACY[metric](point.ranks)
    assert point.kept is not None
    return point.kept[:, int(metric.removeprefix(HRECALL)) - 1].astype(np.float64)


@dataclass(frozen=True)
class LawOf:
    """The laws of one group, metric and x axis."""

    group: Group
    metric: str
    along: str
    comparison: Comparison


def groups(points: Sequence[Measured]) -> list[Group]:
    """Guided points that differ in C and seed alone, where there are at least five C.

    Args:
        points: Measured points of one sweep, in any order.

    Returns:
        Groups as the sweep names them first. Seeds are averaged over the C that all of them have; two networks of one
        seed and one recipe (say, of two learning rates) are groups of their own.
    """
    guided = [
        p for p in points
        if p.row["search"] == "guided" and isinstance(p.dial("candidates"), int | float) and p.row.get("reward")
        and p.dial("control") in (None, "none")
    ]  # fmt: skip
    found = []
    for same in gathered(guided, recipe):
        seeds = gathered(same, lambda p: p.row.get("seed"))
        if any(len(gathered(points, lambda p: p.row.get("networks"))) > 1 for points in seeds):
            found += [group for alone in gathered(same, lambda p: p.row.get("networks")) for group in as_group(alone)]
        else:
            found += as_group(same)
    return found


def recipe(point: Measured) -> str:
    """All that two points of a group share: data, users, recipe of the networks, and every dial but C."""
    dials = sorted(name for name in point.row if name.startswith("search.") and name not in VARYING)
    return json.dumps([point.row.get(name) for name in SAME] + [(name, point.row[name]) for name in dials])


def gathered(points: Sequence[Measured], key: Callable[[Measured], Any]) -> list[list[Measured]]:
    """Points with equal keys, in the order in which the keys appear."""
    return [[p for p in points if key(p) == each] for each in dict.fromkeys(map(key, points))]


def as_group(points: list[Measured]) -> list[Group]:
    """The group of points of one recipe; none where fewer than five C are measured in every seed."""
    by_seed: dict[Any, dict[float, Measured]] = {same[0].row.get("seed"): {p.dial("candidates"): p for p in same}
               for same in gathered(points, lambda p: p.row.get("seed"))}  # fmt: skip
    shared = sorted(set.intersection(*(set(of_c) for of_c in by_seed.values())))
    if len(shared) < FEWEST:
        return []
    return [Group(points[0].row, {c: [of_c[c] for of_c in by_seed.values()] for c in shared}, tuple(by_seed))]


def laws_of(points: Sequence[Measured]) -> list[LawOf]:
    """Every law of every group: by metric, against C and against FLOPs per user, the largest held out.

    Args:
        points: Measured points of one sweep, in any order.

    Returns:
        One entry per group, metric and axis; none where the group has no such numbers (a beam of fewer than 10 has no
        recall@10), or a larger C does not cost more.
    """
    found = []
    for group in groups(points):
        metrics = group.metrics
        if f"{HRECALL}1" not in metrics and group.mean(f"{HRECALL}1") is not None:
            log.warning("no law of HRecall for %s: rows of an earlier version do not say whose prefixes were kept; "
                        "delete them to search again", title_of(group))  # fmt: skip
        for metric in metrics:
            for along in ALONG:
                x = list(group.points) if along == "candidates" else group.mean(along)
                # Compute is no axis where a larger C is no dearer: a beam whose code follows of itself costs nothing.
                if x is not None and all(0 < less < more for less, more in pairwise(x)):
                    found.append(LawOf(group, metric, along, fit_all(x, group.values(metric))))
    return found


def law_rows(found: Sequence[LawOf]) -> list[dict[str, Any]]:
    """One row per group, metric, axis and law: parameters, held-out prediction, turning point, or the reason."""
    numbered = {group: place for place, group in enumerate(dict.fromkeys(id(of.group) for of in found))}
    return [
        {
            "group": numbered[id(of.group)],
            **shared(of),
            **numbers(fit),
            "preferred": of.comparison.preferred == fit.law,
            "verdict": of.comparison.verdict,
        }
        for of in found
        for fit in of.comparison.fits
    ]


def shared(of: LawOf) -> dict[str, Any]:
    """What the rows of all laws of one curve have in common."""
    row, turn, curve = of.group.row, of.comparison.turning, of.comparison.curve
    return {
        **{name: row.get(name) for name in SAME},
        "seeds": " ".join(map(str, of.group.seeds)),
        "width": json.dumps(row.get("search.width")),
        "weight": json.dumps(row.get("search.weight")),
        "metric": of.metric,
        "along": of.along,
        "points": len(curve.x),
        "held_out": of.comparison.held_out,
        "x0": float(curve.x[0]),
        "turning_best_x": turn.best if turn else None,
        "turning_x": turn.x if turn else None,
        **cells("turning_difference", turn.difference if turn else None),
    }


def numbers(fit: Fit | NoFit) -> dict[str, Any]:
    """A fit as columns; one that could not be made has a reason and no numbers."""
    made = fit if isinstance(fit, Fit) else None
    point = made.held_out[-1] if made else None
    row: dict[str, Any] = {"law": str(fit.law), "form": fit.law.form}
    for name in "abc":
        row |= cells(name, made.parameters.get(name) if made else None)
    row |= {name: getattr(made, name) if made else None for name in ("residual", "aicc", "failed")}
    row["held_out_x"] = point.x if point else None
    for name in ("predicted", "observed", "error"):
        row |= cells(name, getattr(point, name) if point else None)
    return row | {"reason": None if isinstance(fit, Fit) else fit.reason}


def cells(name: str, value: Any) -> dict[str, float | None]:
    """An estimate as three columns."""
    ends = (value.value, value.low, value.high) if value else (None, None, None)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def table_rows(found: Sequence[LawOf]) -> list[list[Any]]:
    """The laws of accuracy over C as rows: curve, law, a, b, c, predicted, observed, error, note."""
    table: list[list[Any]] = []
    for of in found:
        for fit in of.comparison.fits if of.along == "candidates" and of.metric in ACCURACY else ():
            name = f"{of.metric} {title_of(of.group)}"
            if isinstance(fit, NoFit):
                table.append([name, str(fit.law), *[None] * 6, fit.reason])
                continue
            point, a_to_c = fit.held_out[-1], [fit.parameters.get(each) for each in "abc"]
            note = "preferred" if of.comparison.preferred == fit.law else ""
            values = [each.value if each else None for each in (*a_to_c, point.predicted, point.observed)]
            table.append([name, str(fit.law), *values, point.error.text(4, "+"), note])
    return table


def title_of(group: Group) -> str:
    """A group as a reader sees it."""
    row = group.row
    seeds = f", {len(group.seeds)} seeds" if len(group.seeds) > 1 else ""
    return f"{row['generator']}, {row['reward']}, W = {spelled(row, 'width')}, λ = {spelled(row, 'weight')}{seeds}"


def spelled(row: dict[str, Any], dial: str) -> str:
    """A dial's number, or its numbers per level, such as `50-20-20`."""
    value = row.get(f"search.{dial}")
    return "-".join(f"{each:g}" for each in (value if isinstance(value, list) else [value]))


def level_curves(found: Iterable[Group]) -> list[LevelCurve]:
    """HRecall over C of every group whose rows have it."""
    curves = []
    for group in found:
        levels = list(takewhile(lambda of: of is not None, (group.mean(f"hrecall@{n}") for n in count(1))))
        if levels:
            shares = tuple(zip(*levels, strict=True))
            curves.append(LevelCurve(title_of(group), tuple(group.points), shares, group.row["users"]))
    return curves


def write_laws(found: Sequence[LawOf], folder: Path) -> dict[str, str]:
    """Write `laws.csv`, and as `.svg` and `.png` each: the laws of accuracy over C (`law`), of HRecall those that could
    be fitted (`level-laws`), and HRecall of all curves side by side (`levels`).

    Args:
        found: At least one, as `laws_of` makes them.
        folder: Where the sweep's results lie.

    Returns:
        The files by name, as the verb reports them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / "laws.csv", folder / f"laws.{os.getpid()}.part"
    pl.DataFrame(law_rows(found), infer_schema_length=None).write_csv(part)
    part.replace(path)
    measured = dict.fromkeys(
        f"{row['data']} · {row['split']} split · {row['users']:,} users" for row in (of.group.row for of in found)
    )
    title = "; ".join(measured)
    paths = {"laws": str(path)}
    for name, of_levels in (("law", False), ("level-laws", True)):
        panels = [LawPanel(title_of(of.group), of.metric, of.along, of.comparison) for of in found
                  if of.along == "candidates" and of.metric.startswith(HRECALL) == of_levels
                  and (of.comparison.fitted or not of_levels)]  # fmt: skip
        if panels:
            images = save_figure(law_figure(panels, title), folder / name)
            label = name.replace("-", "_")
            paths |= {f"{label}_figure": str(images[1]), f"{label}_figure_svg": str(images[0])}
    if curves := level_curves({id(of.group): of.group for of in found}.values()):
        images = save_figure(level_figure(curves, title), folder / "levels")
        paths |= {"level_figure": str(images[1]), "level_figure_svg": str(images[0])}
    return paths
