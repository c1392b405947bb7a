"""What headline rows and comparisons allow to say: whom guided search does not beat, which goals are met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from promise.analysis.report.headline import (
    BETTER_PLAIN,
    COMPARED,
    COMPARISON_COLUMNS,
    GOAL_COLUMNS,
    GUIDED,
    MEASURES,
    METHODS,
    PUBLISHED_COLUMNS,
    ROW_COLUMNS,
    SEEN,
    claimed,
    read_table,
)


@dataclass(frozen=True)
class Headline:
    """Headline rows and comparisons of test targets: what was chosen on validation targets proves nothing there.

    Attributes:
        datasets: Names of the data sets that have rows, in the order of the alphabet.
        methods: Names of the methods that have rows, in the order of the tables.
        means: (dataset, seen, half, method) -> the mean over seeds of each metric, `seeds` and `flops_per_user`.
        claims: (dataset, seen, half, against) -> comparison of guided search with a method, by metric.
        goals: Rows of what was to be reached, each with what was `measured` and its `outcome`.
        unreached: Published rows above guided search in some metric, each with what was `measured`.
    """

    datasets: list[str]
    methods: list[str]
    means: Mapping[tuple[str, ...], dict[str, Any]]
    claims: Mapping[tuple[str, ...], dict[str, dict[str, Any]]]
    goals: list[dict[str, Any]]
    unreached: list[dict[str, Any]]

    def mean(self, dataset: str, seen: str, method: str) -> dict[str, Any]:
        """What was measured on all users; empty where nothing was."""
        return self.means.get((dataset, seen, "all", method), {})

    def claim(self, dataset: str, seen: str, against: str, half: str = "all") -> dict[str, dict[str, Any]]:
        """Guided search against a method, by metric; empty where they were not compared."""
        return self.claims.get((dataset, seen, half, against), {})

    def not_won(self) -> dict[tuple[str, str], list[dict[str, dict[str, Any]]]]:
        """Methods not shown to be beaten in some metric: (against, dataset) -> comparison for each of `SEEN`."""
        order = [*METHODS, BETTER_PLAIN]
        found = {(against, dataset) for (dataset, _, half, against), claim in self.claims.items()
                 if half == "all" and any(claimed(row) <= 0 for row in claim.values())}  # fmt: skip
        pairs = sorted(found, key=lambda pair: (order.index(pair[0]) if pair[0] in order else len(order), pair[1]))
        return {pair: [self.claim(pair[1], seen, pair[0]) for seen in SEEN] for pair in pairs}

    def open_on_halves(self, seen: str) -> list[str]:
        """Methods that guided search is not shown to beat on some half of the users of some data set."""
        found = {against for (_, treated, half, against), claim in self.claims.items()
                 if half != "all" and treated == seen and any(claimed(row) <= 0 for row in claim.values())}  # fmt: skip
        return [method for method in self.methods if method in found]

    def count(self, against: str, metric: str) -> dict[str, int]:
        """In how many comparisons with a method guided search is better, not told apart and worse."""
        signs = [claimed(claim[metric]) for (_, _, half, other), claim in self.claims.items()
                 if half == "all" and other == against and metric in claim]  # fmt: skip
        return {"better": signs.count(1), "open": signs.count(0), "worse": signs.count(-1), "all": len(signs)}


def read_headline(folder: Path) -> Headline:
    """Read the headline rows, comparisons, goals and published figures of a folder; a file may be missing.

    Raises:
        ValueError: If a file lacks a column, or a cell is no number where one belongs.
    """
    tested = pl.col("split") == "test"
    rows = read_table(folder / "headline.csv", ROW_COLUMNS).filter(tested)
    compared = read_table(folder / "comparisons.csv", COMPARISON_COLUMNS).filter(tested)
    place = ["dataset", "seen", "half", "method"]
    means = rows.group_by(place, maintain_order=True).agg(
        pl.col(*MEASURES, "flops_per_user").mean().round(6),
        pl.col("command").first(),
        seeds=pl.col("seed").n_unique(),
    )
    claims: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for row in compared.filter(pl.col("method") == GUIDED, pl.col("metric").is_in(COMPARED)).iter_rows(named=True):
        claims.setdefault((row["dataset"], row["seen"], row["half"], row["against"]), {})[row["metric"]] = row
    found = {tuple(row[name] for name in place): row for row in means.iter_rows(named=True)}
    goals = beside(read_table(folder / "goals.csv", GOAL_COLUMNS), found)
    for goal in goals:
        reached = [goal["measured"].get(metric) for metric in COMPARED]
        met = None not in reached and all(goal["measured"][metric] >= goal[metric] for metric in COMPARED)
        goal["outcome"] = "not run" if None in reached else "met" if met else "**missed**"
    published = read_table(folder / "published.csv", PUBLISHED_COLUMNS)
    elsewhere = beside(published.rename({"method": "name"}).with_columns(method=pl.lit(GUIDED)), found)
    above = [row for row in elsewhere
             if any((row["measured"].get(metric) or 1) < (row[metric] or 0) for metric in COMPARED)]  # fmt: skip
    seen = set(rows["method"])
    methods = [*(name for name in METHODS if name in seen), *sorted(seen - set(METHODS))]
    return Headline(sorted(set(rows["dataset"])), methods, found, claims, goals, above)


def beside(rows: pl.DataFrame, means: Mapping[tuple[str, ...], dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a data set, protocol and method, each with what was measured on all users."""
    return [
        row | {"measured": means.get((row["dataset"], row["seen"], "all", row["method"]), {})}
        for row in rows.iter_rows(named=True)
    ]
