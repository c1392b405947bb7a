"""The scaling laws of a sweep: which points make one curve over C, its fits as rows, its figures."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from promise.analysis.laws.fit import Comparison, LawFit, NoFit, fit_all
from promise.analysis.plots.curves import spelled
from promise.analysis.plots.drawing import save_figure
from promise.analysis.plots.laws import LawPanel, law_figure
from promise.analysis.results import per_level, write_csv
from promise.experiments.findings import Measured, number
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
class LawGroup:
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
        """Metrics of every user of every point: accuracy, and HRecall by level where known by user."""
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

    @property
    def title(self) -> str:
        """The group as a reader sees it."""
        seeds = f", {len(self.seeds)} seeds" if len(self.seeds) > 1 else ""
        networks = f"{self.row['generator']}, {self.row['reward']}"
        width, weight = (spelled(per_level(self.row.get(f"search.{dial}"))) for dial in ("width", "weight"))
        return f"{networks}, W = {width}, λ = {weight}{seeds}"


def values_of(point: Measured, metric: str) -> NDArray[np.float64]:
    """(n,) of a metric, by user."""
    if metric in ACCURACY:
        return ACCURACY[metric](point.ranks)
    assert point.kept is not None
    return point.kept[:, int(metric.removeprefix(HRECALL)) - 1].astype(np.float64)


@dataclass(frozen=True)
class CurveLaws:
    """The laws of one group, metric and x axis."""

    group: LawGroup
    metric: str
    along: str
    comparison: Comparison


def groups(points: Sequence[Measured]) -> list[LawGroup]:
    """Guided points of a sweep that differ in C and seed alone, where there are at least five C.

    Returns:
        Groups as the sweep names them first. Seeds are averaged over the C that all of them have; two networks of one
        seed and one recipe (say, of two learning rates) are groups of their own.
    """
    guided = [p for p in points if p.row["search"] == "guided" and number(p.dial("candidates"))
              and p.row.get("reward") and not p.shuffled]  # fmt: skip
    found: list[LawGroup] = []
    for same in gathered(guided, recipe):
        networks = [{p.row.get("networks") for p in seed} for seed in gathered(same, seed_of)]
        parts = gathered(same, lambda p: p.row.get("networks")) if max(map(len, networks)) > 1 else [same]
        found += [group for part in parts for group in as_group(part)]
    return found


def recipe(point: Measured) -> str:
    """All that two points of a group share: data, users, recipe of the networks, and every option but C."""
    dials = sorted(name for name in point.row if name.startswith("search.") and name not in VARYING)
    return json.dumps([point.row.get(name) for name in SAME] + [(name, point.row[name]) for name in dials])


def seed_of(point: Measured) -> Any:
    """The seed of a point."""
    return point.row.get("seed")


def gathered(points: Sequence[Measured], key: Callable[[Measured], Any]) -> list[list[Measured]]:
    """Points with equal keys, in the order in which the keys appear."""
    return [[p for p in points if key(p) == each] for each in dict.fromkeys(map(key, points))]


def as_group(points: list[Measured]) -> list[LawGroup]:
    """The group of points of one recipe; none where fewer than five C are measured in every seed."""
    by_seed: dict[Any, dict[float, Measured]] = {
        seed_of(same[0]): {p.dial("candidates"): p for p in same} for same in gathered(points, seed_of)
    }
    shared = sorted(set.intersection(*(set(of_c) for of_c in by_seed.values())))
    if len(shared) < FEWEST:
        return []
    return [LawGroup(points[0].row, {c: [of_c[c] for of_c in by_seed.values()] for c in shared}, tuple(by_seed))]


def laws_of(points: Sequence[Measured]) -> list[CurveLaws]:
    """Every law of every group: by metric, against C and against FLOPs per user, the largest held out.

    Returns:
        One entry per group, metric and axis; none where the group has no such numbers (a beam of fewer than 10 has no
        recall@10), or a larger C does not cost more.
    """
    found = []
    for group in groups(points):
        if f"{HRECALL}1" not in group.metrics and group.mean(f"{HRECALL}1") is not None:
            log.warning("no law of HRecall for %s: rows of an earlier version do not say whose prefixes were kept; "
                        "delete them to search again", group.title)  # fmt: skip
        for metric in group.metrics:
            for along in ALONG:
                x = list(group.points) if along == "candidates" else group.mean(along)
                # Compute is no axis where a larger C is no dearer: a beam whose code follows of itself costs nothing.
                if x is not None and all(0 < less < more for less, more in pairwise(x)):
                    found.append(CurveLaws(group, metric, along, fit_all(x, group.values(metric))))
    return found


def law_rows(found: Sequence[CurveLaws]) -> list[dict[str, Any]]:
    """One row per group, metric, axis and law: parameters, held-out prediction, turning point, or the reason."""
    numbered = {group: place for place, group in enumerate(dict.fromkeys(id(of.group) for of in found))}
    rows = []
    for of in found:
        row, turn, curve = of.group.row, of.comparison.turning, of.comparison.curve
        shared = {
            "group": numbered[id(of.group)],
            **{name: row.get(name) for name in SAME},
            "seeds": " ".join(map(str, of.group.seeds)),
            "width": json.dumps(row.get("search.width")),
            "weight": json.dumps(row.get("search.weight")),
            "metric": of.metric,
            "along": of.along,
            "points": len(curve.x),
            "x0": float(curve.x[0]),
            "turning_best_x": turn.best if turn else None,
            "turning_x": turn.x if turn else None,
            **cells("turning_difference", turn.difference if turn else None),
        }
        chosen = of.comparison.preferred
        rows += [shared | numbers(fit) | {"preferred": chosen == fit.law, "verdict": of.comparison.verdict}
                 for fit in of.comparison.fits]  # fmt: skip
    return rows


def numbers(fit: LawFit | NoFit) -> dict[str, Any]:
    """A fit as columns; one that could not be made has a reason and no numbers."""
    made = fit if isinstance(fit, LawFit) else None
    point = made.held_out if made else None
    row: dict[str, Any] = {"law": str(fit.law), "form": fit.law.form}
    for name in "abc":
        row |= cells(name, made.parameters.get(name) if made else None)
    row |= {name: getattr(made, name, None) for name in ("residual", "aicc", "failed")}
    row["held_out_x"] = getattr(point, "x", None)
    for name in ("predicted", "observed", "error"):
        row |= cells(name, getattr(point, name, None))
    return row | {"reason": getattr(fit, "reason", None)}


def cells(name: str, value: Any) -> dict[str, float | None]:
    """An estimate as three columns."""
    return {f"{name}{end}": getattr(value, part, None)
            for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))}  # fmt: skip


def table_rows(found: Sequence[CurveLaws]) -> list[list[Any]]:
    """The laws of accuracy over C as rows: curve, law, a, b, c, predicted, observed, error, note."""
    rows: list[list[Any]] = []
    for of in found:
        for fit in of.comparison.fits if of.along == "candidates" and of.metric in ACCURACY else ():
            row = numbers(fit)
            values = [row[name] for name in ("a", "b", "c", "predicted", "observed")]
            error = fit.held_out.error.text(4, "+") if isinstance(fit, LawFit) else None
            note = row["reason"] or ("preferred" if of.comparison.preferred == fit.law else "")
            rows.append([f"{of.metric} {of.group.title}", str(fit.law), *values, error, note])
    return rows


def write_laws(found: Sequence[CurveLaws], folder: Path) -> dict[str, str]:
    """Write `laws.csv`, and as `.svg` and `.png` the laws of accuracy over C (`law`) and those of HRecall that could
    be fitted (`level-laws`).

    Args:
        found: At least one, as `laws_of` makes them.
        folder: Where the sweep's results lie.

    Returns:
        The files by name, as the verb reports them.
    """
    write_csv(pl.DataFrame(law_rows(found), infer_schema_length=None), folder / "laws.csv")
    measured = dict.fromkeys(
        f"{row['data']} · {row['split']} split · {row['users']:,} users" for row in (of.group.row for of in found)
    )
    paths = {"laws": str(folder / "laws.csv")}
    for name, of_levels in (("law", False), ("level-laws", True)):
        panels = [LawPanel(of.group.title, of.metric, of.along, of.comparison) for of in found
                  if of.along == "candidates" and of.metric.startswith(HRECALL) == of_levels
                  and (of.comparison.fitted or not of_levels)]  # fmt: skip
        if panels:
            svg, png = save_figure(law_figure(panels, "; ".join(measured)), folder / name)
            label = f"{name.replace('-', '_')}_figure"
            paths |= {label: str(png), f"{label}_svg": str(svg)}
    return paths
