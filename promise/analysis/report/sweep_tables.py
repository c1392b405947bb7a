"""The kept tables of sweeps and analyses: their best points, drift by depth, and laws.

A file that is no such table raises ValueError.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from promise.analysis.results import read_results

DRIFT_COLUMNS = ("dataset", "split", "seed", "seen", "users", "W", "C", "depth", "measure", "value", "low", "high")
LAW_COLUMNS = (
    "group", "data", "users", "generator", "reward", "further", "seeds", "width", "weight", "metric", "along", "law",
    "verdict", "reason", "preferred", "aicc", "a", "a_low", "a_high", "c", "c_low", "c_high",
    "error", "error_low", "error_high",
)  # fmt: skip
DRIFT_MEASURES = {
    "teacher_forced": "likeliest code is the true one, after the true codes",
    "free_running": "the same after the generator's own codes",
    "hrecall_plain": "true prefix kept by the plain beam",
    "hrecall_guided": "true prefix kept by the guided beam",
    "hrecall_oracle": "true prefix kept by a perfect judge",
    "net_rescue": "kept by the guided beam alone − by the plain one alone",
}


@dataclass(frozen=True)
class KeptSweep:
    """A sweep or analysis whose tables are kept as `NAME-DATA-SPLIT-SEED.csv`.

    Attributes:
        title: What it varies.
        table: The run's file.
    """

    title: str
    table: str = "results.csv"


KEPT = {
    "drift": KeptSweep("Semantic drift", "drift.csv"),
    "laws": KeptSweep("Scaling laws", "laws.csv"),
    "candidates": KeptSweep("Candidates C"),
    "width": KeptSweep("Beams W"),
    "weight": KeptSweep("Weight λ of the reward"),
    "depth": KeptSweep("Reward at some depths only"),
    "scorer": KeptSweep("Kind of reward model"),
    "training": KeptSweep("Training and negatives"),
    "size": KeptSweep("Size of the generator"),
    "ids": KeptSweep("Semantic IDs"),
    "scaling": KeptSweep("Sizes, beams and candidates together"),
    "regret": KeptSweep("Beams against the reward of every item"),
    "catalogue": KeptSweep("Size of the catalogue"),
    "tune": KeptSweep("A study of the search's options"),
}
"""By the name that its files begin with."""


def kept_sweeps(folder: Path) -> Iterator[dict[str, Any]]:
    """Every kept table of points: `title`, `path`, `figure`, what all points share, and its best points.

    Points of several catalogues have no best one.
    """
    for name, kept in KEPT.items():
        for path in sorted(folder.glob(f"{name}-*.csv")) if kept.table == "results.csv" else ():
            rows = done(path)
            best = {row["search"]: row for row in rows.sort("recall@10", maintain_order=True).to_dicts()}
            if "data_fingerprint" in rows.columns and rows["data_fingerprint"].n_unique() > 1:
                best = {}
            figure, shared = path.with_suffix(".svg"), rows.row(0, named=True)
            if "cooccurrence.scale" in rows.columns and rows["cooccurrence.scale"].is_not_null().any():
                shared["data"] += " (counts)"
            yield {
                "name": name, "title": kept.title, "path": path, "points": len(rows),
                "figure": figure if figure.exists() else None, **shared,
                **{search: best.get(search) for search in ("plain", "guided")},
            }  # fmt: skip


def done(path: Path) -> pl.DataFrame:
    """The points of a sweep that were measured; at least one."""
    rows = read_results(path)
    if missing := {"data", "split", "users", "seed", "recall@10", "ndcg@10", "status"} - set(rows.columns):
        raise ValueError(f"{path} must have the columns {', '.join(sorted(missing))}")
    rows = rows.filter(pl.col("status") == "done", pl.col("recall@10").is_not_null())
    if rows.is_empty():
        raise ValueError(f"{path} must have at least one point that is done")
    return rows


def drift_table(path: Path) -> tuple[dict[str, Any], list[str], dict[str, dict[str, dict[str, Any]]]]:
    """A first row for what all share, the depths, and what is shown: measure -> depth -> row."""
    rows = read_columns(path, DRIFT_COLUMNS).cast({"depth": pl.Int64})
    shown = rows.filter(pl.col("measure").is_in(list(DRIFT_MEASURES)), pl.col("depth").is_not_null())
    cells: dict[str, dict[str, dict[str, Any]]] = {}
    for row in shown.iter_rows(named=True):
        cells.setdefault(row["measure"], {})[row["depth"]] = row
    return rows.row(0, named=True), shown["depth"].unique().sort().to_list(), cells


def law_table(path: Path) -> list[dict[str, Any]]:
    """Laws over C of R@10 and of the last level's HRecall: for every curve the law to show first (preferred, or of the
    lowest AICc).
    """
    rows = read_columns(path, LAW_COLUMNS)
    deepest = rows["metric"].filter(rows["metric"].str.starts_with("hrecall")).max()
    rows = rows.filter(pl.col("along") == "candidates", pl.col("metric").is_in(["recall@10", deepest]))
    order = [pl.col("reason").is_not_null(), ~pl.col("preferred").cast(pl.Boolean), "aicc"]
    curve = pl.format("{}, {}, W = {}, λ = {}", pl.col("generator").fill_null("–"), "reward", "width", "weight")
    curve = pl.concat_str(curve, "further", separator=", ", ignore_nulls=True)
    shown = rows.with_columns(curve=curve).group_by("group", "metric", maintain_order=True)
    return shown.map_groups(lambda each: each.sort(order, nulls_last=True).head(1)).to_dicts()


def read_columns(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    """A CSV file that has these columns and at least one row; ValueError if it has not."""
    try:
        rows = pl.read_csv(path, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        rows = pl.DataFrame()
    if rows.is_empty() or set(columns) - set(rows.columns):
        raise ValueError(f"{path} must have at least one row, and the columns {', '.join(columns)}")
    return rows
