"""The scaling laws of a sweep: which points make one curve over C, its fits as rows, its figures."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from promise.analysis.laws.bootstrap import RESAMPLES
from promise.analysis.laws.fit import Comparison, LawFit, NoFit, fit_all
from promise.analysis.plots.curves import spelled
from promise.analysis.plots.drawing import save_figure
from promise.analysis.plots.laws import LawPanel, law_figure
from promise.analysis.results import per_level, write_csv
from promise.experiments.findings import Measured, number

#: Fewest different C of one search that a law is looked for in: four to fit and one to hold it against.
FEWEST = 5

#: Accuracy that laws are fitted to, and what it is charted against.
ACCURACY = ("recall@10", "ndcg@10")
ALONG = ("candidates", "flops_per_user")

#: Heading and columns of the printed table.
LAWS_TITLE = "Scaling laws over C, fitted without the largest C (x0 = smallest C; errors at the largest: 95 %)"
LAWS_COLUMNS = ["", "law", "a", "b", "c", "predicted", "observed", "error", ""]

SAME = ("data", "split", "users", "seen", "allow", "deny", "generator", "reward", "training", "further",
        "cooccurrence.scale")  # fmt: skip
VARYING = ("search.candidates", "search.expansion")


@dataclass(frozen=True)
class LawGroup:
    """The guided points of one width, λ and recipe: a curve over C."""

    row: dict[str, Any]  # a row of the group, for what all its points share
    points: dict[float, list[Measured]]  # C -> the point of every seed, seeds in the same order for every C; C rising
    seeds: tuple[int, ...]  # the seeds that have all C

    def values(self, metric: str) -> NDArray[np.float64] | None:
        """(points, users) of a metric, averaged over the seeds of a user; None where some point lacks it."""
        found = [[p.values(metric) for p in same] for same in self.points.values()]
        if any(values is None for same in found for values in same):
            return None
        return np.stack([np.mean(np.stack(same), axis=0) for same in found])  # type: ignore[arg-type]

    def places(self, along: str) -> list[float]:
        """The x of every point: C, or FLOPs per user, mean over the seeds."""
        if along == "candidates":
            return list(self.points)
        return [float(np.mean([p.row[along] for p in same])) for same in self.points.values()]

    @property
    def title(self) -> str:
        """The group as a reader sees it."""
        seeds = f", {len(self.seeds)} seeds" if len(self.seeds) > 1 else ""
        networks = f"{self.row['generator']}, {self.row['reward']}"
        width, weight = (spelled(per_level(self.row.get(f"search.{dial}"))) for dial in ("width", "weight"))
        own = {"cooccurrence.scale": "scale {:g}", "further": "{}"}
        more = "".join(f", {words.format(self.row[name])}" for name, words in own.items() if self.row.get(name))
        more += "".join(f", {changed}" for changed in self.row["data"].split(":")[1:])
        return f"{networks}, W = {width}, λ = {weight}{more}{seeds}"


@dataclass(frozen=True)
class CurveLaws:
    """The laws of one group, metric and x axis."""

    group: LawGroup
    metric: str
    along: str
    comparison: Comparison


def groups(points: Sequence[Measured]) -> Iterator[LawGroup]:
    """Guided points of a sweep that differ in C and seed alone, if there are at least five C, as it names them first.

    Seeds are averaged over the C that all of them have.
    """
    found: dict[str, dict[Any, dict[float, Measured]]] = {}
    for p in points:
        if p.row["search"] == "guided" and number(p.dial("candidates")) and p.row.get("reward") and not p.shuffled:
            dials = sorted(name for name in p.row if name.startswith("search.") and name not in VARYING)
            recipe = json.dumps([p.row.get(name) for name in SAME] + [(name, p.row[name]) for name in dials])
            found.setdefault(recipe, {}).setdefault(p.row.get("seed"), {})[p.dial("candidates")] = p
    for by_seed in found.values():
        shared = sorted(set.intersection(*map(set, by_seed.values())))
        if len(shared) >= FEWEST:
            same = {c: [of_c[c] for of_c in by_seed.values()] for c in shared}
            yield LawGroup(same[shared[0]][0].row, same, tuple(by_seed))


def laws_of(points: Sequence[Measured]) -> list[CurveLaws]:
    """Every law of every group: by metric, against C and against FLOPs per user, the largest held out.

    Returns:
        One entry per group, metric and axis; none where the group has no such numbers (a beam of fewer than 10 has no
        recall@10), or a larger C does not cost more.
    """
    found = []
    for group in groups(points):
        for metric in (*ACCURACY, *(name for name in group.row if name.startswith("hrecall@"))):
            values = group.values(metric)
            for along in ALONG if values is not None else ():
                x = group.places(along)
                # Compute is no axis where a larger C is no dearer: a beam whose code follows of itself costs nothing.
                if values is not None and all(0 < less < more for less, more in pairwise(x)):
                    found.append(CurveLaws(group, metric, along, fit_all(x, values, RESAMPLES)))
    return found


def law_rows(found: Sequence[CurveLaws]) -> list[dict[str, Any]]:
    """One row per group, metric, axis and law: parameters and held-out prediction, or the reason why there are none."""
    numbered = {group: place for place, group in enumerate(dict.fromkeys(id(of.group) for of in found))}
    rows = []
    for of in found:
        row, x = of.group.row, of.comparison.curve.x
        shared = {
            "group": numbered[id(of.group)],
            "title": of.group.title,
            **{name: row.get(name) for name in SAME},
            "seeds": " ".join(map(str, of.group.seeds)),
            "width": json.dumps(row.get("search.width")),
            "weight": json.dumps(row.get("search.weight")),
            **{"metric": of.metric, "along": of.along, "points": len(x), "x0": float(x[0]), "held_out_x": float(x[-1])},
        }
        chosen = {"verdict": of.comparison.verdict}
        rows += [shared | numbers(fit) | {"preferred": of.comparison.preferred == fit.law} | chosen
                 for fit in of.comparison.fits]  # fmt: skip
    return rows


def numbers(fit: LawFit | NoFit) -> dict[str, Any]:
    """A fit as columns, estimates with their ends; one that could not be made has a reason and no numbers."""
    made = fit if isinstance(fit, LawFit) else None
    estimates = {name: made.parameters.get(name) if made else None for name in "abc"}
    estimates |= {name: getattr(made, name, None) for name in ("predicted", "observed", "error")}
    row: dict[str, Any] = {"law": str(fit.law), "form": fit.law.form}
    for name, estimate in estimates.items():
        row |= {f"{name}{end}": getattr(estimate, part, None)
                for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))}  # fmt: skip
    row |= {name: getattr(made, name, None) for name in ("residual", "aicc", "failed")}
    return row | {"reason": getattr(fit, "reason", None)}


def table_rows(found: Sequence[CurveLaws]) -> list[list[Any]]:
    """The laws of accuracy over C as rows: curve, law, a, b, c, predicted, observed, error, note."""
    rows: list[list[Any]] = []
    for of in found:
        for fit in of.comparison.fits if of.along == "candidates" and of.metric in ACCURACY else ():
            row = numbers(fit)
            values = [row[name] for name in ("a", "b", "c", "predicted", "observed")]
            error = fit.error.text(4, "+") if isinstance(fit, LawFit) else None
            note = row["reason"] or ("preferred" if of.comparison.preferred == fit.law else "")
            rows.append([f"{of.metric} {of.group.title}", str(fit.law), *values, error, note])
    return rows


def write_laws(found: Sequence[CurveLaws], folder: Path) -> dict[str, str]:
    """Write `laws.csv`, and as `.svg` and `.png` the laws of accuracy over C (`law`) and those of HRecall that could
    be fitted (`level-laws`); returns the files by name.
    """
    write_csv(pl.DataFrame(law_rows(found), infer_schema_length=None), folder / "laws.csv")
    measured = dict.fromkeys("{data} · {split} split · {users:,} users".format(**of.group.row) for of in found)
    paths = {"laws": str(folder / "laws.csv")}
    for name, of_levels in (("law", False), ("level-laws", True)):
        panels = [LawPanel(of.group.title, of.metric, of.along, of.comparison) for of in found
                  if of.along == "candidates" and (of.metric not in ACCURACY) == of_levels
                  and (of.comparison.fitted or not of_levels)]  # fmt: skip
        if panels:
            svg, png = save_figure(law_figure(panels, "; ".join(measured)), folder / name)
            label = f"{name.replace('-', '_')}_figure"
            paths |= {label: str(png), f"{label}_svg": str(svg)}
    return paths
