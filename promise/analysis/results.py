"""The rows of a sweep as one table: column order, types, row order, and the CSV file."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

COUNTS = ("popularity", "co_visit", "co_visit_text", "cooccurrence", "predictions", "oracle")
"""Rankers without networks of ours: those that count, lists of a file, a simulation's own knowledge."""

SEARCHES = (
    *COUNTS, "sasrec", "plain", "pmi", "guided", "last_level", "fusion", "orm", "best_of_n", "certified", "reward_beam",
    "exhaustive",
)  # fmt: skip
"""The order in which kinds of search stand in tables and figures; unknown ones follow."""

POINT = ("hash", "data", "split", "users", "seed", "seen")
DIALS = (
    "search", "generator", "reward", "training", "search.width", "search.expansion",
    "search.candidates", "search.weight", "search.temperature",
)  # fmt: skip
RARE = (
    "allow", "deny", "cooccurrence.scale", "search.control", "search.adaptive",
    "search.adaptive_cap", "search.samples", "search.distinct", "search.beta", "search.smoothing",
    "search.fusion", "search.budget", "search.file", "further",
)  # fmt: skip
"""Dials that have a column where some row has them."""

METRIC = "recall@10"
"""What figures, pages and sentences of a sweep are about."""
METRICS = tuple(f"{name}@{k}" for name in ("recall", "ndcg") for k in (5, 10, 20))
RATES = ("invalid_rate", "duplicate_rate")
COSTS = ("parameters", "flops_per_user", "decoder_tokens_per_user", "prm_paths_per_user", "seconds")
STATUS = ("status", "error")

TEXT = frozenset((
    "hash", "data", "split", "seen", "allow", "deny", "search", "generator", "reward", "training",
    "networks", "search.control", "search.adaptive", "promise", "commit", "further", *STATUS,
))  # fmt: skip
_METRIC = re.compile(r"(recall|ndcg|mrr|hrecall)@(\d+)(_low|_high)?")
_ROW_ORDER = ("data", "split", "users", "seen", *DIALS, *RARE, "seed")


def results_table(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Put rows into one table with the columns and the order that every sweep has.

    Columns: the point, the dials, every metric that occurs (recall, NDCG, others, each followed by
    its interval), rates, unknown columns, costs, status. A dial that is per level in some row is a
    text column of JSON (`[50, 20, 20]`), otherwise a number. What is missing is null.
    Rows are sorted by data, dials and seed; equal ones keep their order.

    Args:
        rows: Flat dictionaries; values are text, numbers, lists of numbers, or None.

    Raises:
        ValueError: If a value is a nested dictionary or otherwise no value of a row.

    Example:
        >>> table = results_table([{"search": "plain", "search.width": 20}, {"search.width": 10}])
        >>> table["search.width"].to_list()
        [10, 20]
    """
    rows = list(rows)
    cells = [{name: _cell(name, value) for name, value in row.items()} for row in rows]
    order = sorted(range(len(rows)), key=lambda i: [_sort_key(name, rows[i].get(name)) for name in _ROW_ORDER])
    names = _columns({name for row in rows for name in row})
    columns = (pl.Series(name, [cells[i].get(name) for i in order], dtype=pl.String) for name in names)
    return pl.DataFrame(list(map(_typed, columns)))


def write_results(rows: Iterable[Mapping[str, Any]], path: str | Path) -> None:
    """Write rows as the CSV file of their `results_table`, which raises what that raises."""
    write_csv(results_table(rows), Path(path))


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """Write a table as CSV; its folder is made, the file appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    table.write_csv(draft)
    draft.replace(path)


def read_results(path: str | Path) -> pl.DataFrame:
    """Read a `results.csv` back into the table that was written.

    Raises:
        ValueError: If the file is missing, empty, or no table of results.
    """
    try:
        text = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError:
        raise ValueError(f"results file not found: {path}") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(f"no table of results: {path} ({str(error).splitlines()[0]})") from None
    if "search" not in text.columns:
        raise ValueError(f"no table of results: {path} (it has no column `search`)")
    return text.select(_typed(column) for column in text)


def protocol(seen: str) -> str:
    """The treatment of past items, in words.

    >>> protocol("keep"), protocol("remove")
    ('past items kept', 'past items removed')
    """
    return f"past items {'kept' if seen == 'keep' else 'removed'}"


def per_level(value: Any) -> list[float]:
    """Return a dial's values per level: one number for all levels, or one per level.

    A cell of a dial's column is a number, JSON text of a number or a list, or None: a dial that is not set.

    Example:
        >>> per_level("[50, 20, 20]"), per_level(20), per_level(None)
        ([50.0, 20.0, 20.0], [20.0], [])
    """
    if isinstance(value, str):
        value = json.loads(value)
    if value is None:
        return []
    return [float(each) for each in value] if isinstance(value, list | tuple) else [float(value)]


def _columns(present: set[str]) -> list[str]:
    """Order the columns of the schema and those that occur."""
    metrics = sorted({*METRICS, *filter(_METRIC.fullmatch, present)}, key=_metric_order)
    known = [*POINT, *DIALS, *(name for name in RARE if name in present), *metrics, *RATES]
    return [*known, *sorted(present.difference(known, COSTS, STATUS)), *COSTS, *STATUS]


def _metric_order(name: str) -> tuple[int, int, int]:
    family, k, end = _METRIC.fullmatch(name).groups()  # type: ignore[union-attr]
    return ("recall", "ndcg", "mrr", "hrecall").index(family), int(k), (None, "_low", "_high").index(end)


def _cell(name: str, value: Any) -> str | None:
    """Write one value as the text of a CSV cell."""
    if value is None or isinstance(value, str):
        return value
    if all(isinstance(each, str | int | float) for each in (value if isinstance(value, list | tuple) else [value])):
        return json.dumps(value)
    raise ValueError(f"a row's {name} must be text, a number, a list of these or null, got {value!r}")


def _typed(column: pl.Series) -> pl.Series:
    """Give a text column its type: text, integer, float, or JSON text when lists occur in it."""
    if column.name in TEXT:
        return column
    measured = column.name in RATES or _METRIC.fullmatch(column.name)
    for dtype in (pl.Float64,) if measured else (pl.Int64, pl.Float64):
        numbers = column.cast(dtype, strict=False)
        if numbers.null_count() == column.null_count():
            return numbers
    return column


def _sort_key(name: str, value: Any) -> tuple[int, Any]:
    """Order missing before numbers before text, and searches as `SEARCHES` lists them."""
    if value is None:
        return 0, 0
    if name == "search" and value in SEARCHES:
        return 1, [SEARCHES.index(value)]
    if isinstance(value, str):
        return 2, value
    return 1, per_level(value)
