"""Headline rows and comparisons: their columns, their order, their CSV files, and what makes a claim."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

METHODS = {
    "popularity": "the items with the most training interactions, for everyone",
    "co_visit": "items that stood near the user's items in other users' histories",
    "co_visit_text": "the same, first those whose texts are like that of the user's last item",
    "sasrec": "SASRec, full softmax, item numbers only; published runs of it reach more: compare with those",
    "plain_alone": "plain beam search of a generator that was trained without a reward model",
    "plain": "plain beam search of the generator that was trained with the reward model",
    "orm": "a plain beam as wide as C, ranked once at the end by the reward alone; at W beams: see the reward by depth",
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
GOAL_COLUMNS = ("dataset", "seen", "method", "kind", "recall@10", "ndcg@10")
PUBLISHED_COLUMNS = ("dataset", "seen", "method", *MEASURES, "source", "note")

ROW_KEY = ("dataset", "split", "seen", "half", "method", "seed")
COMPARISON_KEY = ("dataset", "split", "seen", "half", "metric", "method", "against")

_TEXT = {
    "dataset", "method", "seen", "half", "split", "command", "metric", "against", "kind", "source", "note",
}  # fmt: skip
_INTEGERS = {"seed", "seeds", "users", "parameters"}
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


def read_table(path: Path, columns: Sequence[str]) -> list[Row]:
    """Read a CSV file of these columns; an empty cell is None.

    Args:
        path: The file; one that is not there holds no rows.
        columns: Its columns, in order.

    Raises:
        ValueError: If the columns are others, or a cell is no number where one belongs.
    """
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != tuple(columns):
            raise ValueError(f"{path} must have the columns {', '.join(columns)}")
        return [{name: _value(path, name, row[name]) for name in columns} for row in reader]


def write_table(rows: Iterable[Mapping[str, Any]], path: Path, columns: Sequence[str], key: Sequence[str]) -> None:
    """Write rows as CSV in the order of their key; the file appears complete or not at all.

    Args:
        rows: Values by column; None becomes an empty cell.
        path: The file; its folder is made.
        columns: Its columns, in order.
        key: Columns to sort by.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: [_place(name, row[name]) for name in key]))
    part.replace(path)


def merged(old: Iterable[Row], new: Iterable[Row], key: Sequence[str]) -> list[Row]:
    """All rows, a new one in place of an old one of the same key.

    >>> merged([{"seed": 0, "x": 1}, {"seed": 1, "x": 1}], [{"seed": 0, "x": 2}], ["seed"])
    [{'seed': 0, 'x': 2}, {'seed': 1, 'x': 1}]
    """
    return list({tuple(row[name] for name in key): row for row in (*old, *new)}.values())


def _value(path: Path, name: str, text: str | None) -> Any:
    if not text:
        return None
    if name in _TEXT:
        return text
    try:
        return int(text) if name in _INTEGERS else float(text)
    except ValueError:
        raise ValueError(f"{path}: {name} must be a number, got {text!r}") from None


def _place(name: str, value: Any) -> tuple[int, Any]:
    """Where a value stands: in the order of its column, unknown words after it, in the order of the alphabet."""
    order = _ORDERS.get(name, ())
    return (order.index(value), "") if value in order else (len(order), value)
