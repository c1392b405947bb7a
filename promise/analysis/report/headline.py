"""Headline rows and comparisons: their columns, their order, their CSV files, and what makes a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from promise.analysis.results import write_csv

METHODS = {
    "popularity": "the items with the most training interactions, for everyone",
    "co_visit": "items that stood near the user's items in other users' histories",
    "co_visit_text": "the same, but first those whose texts are like that of the user's last item",
    "cooccurrence": "the counts of neighbouring items alone, which both networks take as a term",
    "sasrec": "SASRec, full softmax, item numbers only; published runs of it reach more: compare with those",
    "plain_alone": "plain beam search of a generator that was trained without a reward model",
    "plain": "plain beam search of the generator that was trained with the reward model",
    "orm": "a plain beam as wide as C, ranked once at the end by the reward alone",
    "second_scorer": "a plain beam as wide as C, ranked once at the end by likelihood and reward added up",
    "exhaustive": "the reward of every item of the catalogue",
    "guided": "beam search that the reward model guides at every level",
}
"""What each method is, in the order of the tables."""

GUIDED = "guided"
BETTER_PLAIN = "better_plain"
"""In comparisons: whichever of `plain` and `plain_alone` has the higher mean over seeds."""

SEEN = ("keep", "remove")
HALVES = ("all", "above", "below")
MEASURES = ("recall@5", "ndcg@5", "recall@10", "ndcg@10")
COMPARED = ("recall@10", "ndcg@10")

ROW_COLUMNS = (
    "dataset", "method", "seen", "half", "seed", "split", *MEASURES, "flops_per_user", "parameters", "command",
)  # fmt: skip
COMPARISON_COLUMNS = (
    "dataset", "seen", "half", "split", "metric", "method", "against", "difference", "low", "high",
    "seed_min", "seed_max", "seeds", "users",
)  # fmt: skip
GOAL_COLUMNS = ("dataset", "seen", "method", "kind", *COMPARED)
PUBLISHED_COLUMNS = ("dataset", "seen", "method", *MEASURES, "source", "note")

ROW_KEY = ("dataset", "split", "seen", "half", "method", "seed")
COMPARISON_KEY = ("dataset", "split", "seen", "half", "metric", "method", "against")

_TYPES: dict[str, type[pl.DataType]] = dict.fromkeys(("seed", "seeds", "users", "parameters"), pl.Int64)
_TYPES |= dict.fromkeys((*MEASURES, "flops_per_user", "difference", "low", "high", "seed_min", "seed_max"), pl.Float64)
_ORDERS: dict[str, Sequence[str]] = {
    "split": ("test", "validation"),
    "seen": SEEN,
    "half": HALVES,
    "method": tuple(METHODS),
    "against": (*METHODS, BETTER_PLAIN),
    "metric": COMPARED,
}


def claimed(row: Mapping[str, Any]) -> int:
    """Which way a comparison is decided: the interval excludes 0 and the sign is the same in every seed.

    Args:
        row: A comparison.

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
