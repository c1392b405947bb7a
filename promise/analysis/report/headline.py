"""Headline rows and comparisons: their columns, their CSV files, what makes a claim, and what they allow to say."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from promise.analysis.results import write_csv

METHODS = {
    "popularity": "the items with the most training interactions, for everyone",
    "co_visit": "items that stood near the user's items in other users' histories",
    "co_visit_text": "the same, but first those whose texts are like that of the user's last item",
    "cooccurrence": "the counts of neighbouring items alone, which both networks take as a term",
    "sasrec": "SASRec, item numbers only, full softmax (the union: drawn items); published runs of it reach more",
    "plain_alone": "plain beam search of a generator that was trained without a reward model",
    "plain": "plain beam search of the generator that was trained with the reward model",
    "pmi": "log p minus β times the log of the prefix's share of the training items; no reward model",
    "fusion": "guided search that fuses the ranks of likelihood and reward",
    "shuffled_histories": "guided search by a reward trained with the histories of others: it knows items alone",
    "last_level": "guided search whose reward is asked at the last level alone",
    "orm": "a plain beam as wide as C, ranked once at the end by the reward alone",
    "orm_equal_flops": "a plain beam as wide as W, ranked at the end by the reward: as dear as guided search",
    "second_scorer": "a plain beam as wide as C, ranked once at the end by likelihood and reward added up",
    "reward_beam": "beams of the same width cut by the reward alone among all their children: no generator proposes",
    "exhaustive": "the reward of every item of the catalogue",
    "guided": "beam search that the reward model guides at every level",
}
"""Every method in a few words, in the order of the tables."""

GUIDED = "guided"
BETTER_PLAIN = "better_plain"
"""In comparisons: whichever of `plain` and `plain_alone` has the higher mean over seeds."""

SEEN = ("keep", "remove")
HALVES = ("all", "above", "below", "tied", "untied")
MEASURES = ("recall@5", "ndcg@5", "recall@10", "ndcg@10")
COMPARED = ("recall@10", "ndcg@10")

COUNT_FREE = " (count_free)"
"""What stands behind the name of data whose networks count nothing."""

RETRIEVAL = ("recall@50", "recall@100", "recall@500", "recall_ceiling")

ROW_COLUMNS = (
    "dataset", "method", "seen", "half", "seed", "split", *MEASURES, "flops_per_user", "parameters", "command",
    "recipe", *RETRIEVAL, "data_fingerprint",
)  # fmt: skip
COMPARISON_COLUMNS = (
    "dataset", "seen", "half", "split", "metric", "method", "against", "difference", "low", "high",
    "seed_min", "seed_max", "seeds", "users", "recipe",
)  # fmt: skip
GOAL_COLUMNS = ("dataset", "seen", "method", "kind", *COMPARED)
PUBLISHED_COLUMNS = ("dataset", "seen", "method", *MEASURES, "source", "note")

ROW_KEY = ("dataset", "recipe", "split", "seen", "half", "method", "seed")
COMPARISON_KEY = ("dataset", "recipe", "split", "seen", "half", "metric", "method", "against")

_TYPES: dict[str, type[pl.DataType]] = dict.fromkeys(("seed", "seeds", "users", "parameters"), pl.Int64)
_FLOATS = (*MEASURES, *RETRIEVAL, "flops_per_user", "difference", "low", "high", "seed_min", "seed_max")
_TYPES |= dict.fromkeys(_FLOATS, pl.Float64)
_ORDERS: dict[str, Sequence[str]] = {
    "split": ("test", "validation"),
    "seen": SEEN,
    "half": HALVES,
    "method": tuple(METHODS),
    "against": (*METHODS, BETTER_PLAIN),
    "metric": COMPARED,
}


def claimed(row: Mapping[str, Any]) -> int:
    """The way in which a comparison is decided: the interval excludes 0 and the sign is the same in every seed.

    Returns:
        1 = the first method is better, -1 = it is worse, 0 = not told apart.

    Example:
        >>> claimed({"low": 0.001, "high": 0.002, "seed_min": -0.0001, "seed_max": 0.003})
        0
    """
    if row["low"] > 0 and row["seed_min"] > 0:
        return 1
    return -1 if row["high"] < 0 and row["seed_max"] < 0 else 0


def read_table(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Read a CSV file that has these columns; others stay as text, an empty cell is null.

    Args:
        path: The file; one that is not there holds no rows.
        columns: Columns that it must have.

    Raises:
        ValueError: If a column is missing, or a cell is no number where one belongs.
    """
    if not path.exists():
        return pl.DataFrame(schema={name: _TYPES.get(name, pl.String) for name in columns})
    try:
        table = pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError:
        table = pl.DataFrame()
    if missing := [name for name in columns if name not in table.columns]:
        raise ValueError(f"{path} must have the columns {', '.join(missing)}")
    return table.with_columns(_typed(path, table[name]) for name in table.columns)


def write_table(rows: pl.DataFrame, path: Path, key: Sequence[str]) -> None:
    """Write rows as CSV in the order of their key; the file appears complete or not at all."""
    names = {name: pl.Enum([*order, *sorted(set(rows[name].drop_nulls()) - set(order))])
             for name, order in _ORDERS.items() if name in key}  # fmt: skip
    write_csv(rows.sort([pl.col(name).cast(names[name]) if name in names else name for name in key]), path)


def merged(old: pl.DataFrame, new: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """All rows, a new one in place of an old one of the same key; a column that one of them lacks is null there."""
    return pl.concat([old, new], how="diagonal_relaxed").unique(subset=key, keep="last", maintain_order=True)


def _typed(path: Path, column: pl.Series) -> pl.Series:
    numbers = column.cast(_TYPES.get(column.name, pl.String), strict=False)
    if wrong := column.filter(numbers.is_null() & column.is_not_null()).to_list():
        raise ValueError(f"{path}: {column.name} must be a number, got {wrong[0]!r}")
    return numbers


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
        """Means over seeds for all users; empty where nothing was measured."""
        return self.means.get((dataset, seen, "all", method), {})

    def claim(self, dataset: str, seen: str, against: str, half: str = "all") -> dict[str, dict[str, Any]]:
        """Guided search against a method, by metric; empty where they were not compared."""
        return self.claims.get((dataset, seen, half, against), {})

    def not_won(self) -> list[dict[str, Any]]:
        """Data sets and protocols with a method not shown to be beaten: by metric, its name with the comparison."""
        others, order = {against for *_, against in self.claims}, [*METHODS, BETTER_PLAIN]
        names = [*(name for name in order if name in others), *sorted(others - set(order))]
        found = []
        for dataset, seen in itertools.product(self.datasets, SEEN):
            rows = {
                metric: [
                    (name, row)
                    for name in names
                    if (row := self.claim(dataset, seen, name).get(metric)) is not None and claimed(row) <= 0
                ]
                for metric in COMPARED
            }
            if any(rows.values()):
                found.append({"dataset": dataset, "seen": seen, **rows})
        return found

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
    named = pl.when(pl.col("recipe").is_null()).then("dataset").otherwise(pl.format("{} ({})", "dataset", "recipe"))
    rows, compared = (
        read_table(folder / name, columns).filter(tested).with_columns(dataset=named)
        for name, columns in (("headline.csv", ROW_COLUMNS), ("comparisons.csv", COMPARISON_COLUMNS))
    )
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
    """Rows of data, protocol and method, each with what was measured on all users, count-free if none is named."""

    def measured(row: Mapping[str, Any], recipe: str) -> dict[str, Any]:
        return means.get((row["dataset"] + recipe, row["seen"], "all", row["method"]), {})

    return [row | {"measured": measured(row, "") or measured(row, COUNT_FREE)} for row in rows.iter_rows(named=True)]
