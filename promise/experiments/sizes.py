"""A smaller generator with guided search against larger ones without: paired differences, what each costs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from promise.analysis.report.sweep_tables import SIZE_COLUMNS
from promise.analysis.results import write_csv
from promise.experiments.findings import USERS, Measured, difference, number, verdict

#: Heading and columns of the printed table.
SIZES_TITLE = "Smaller and guided − larger and plain, recall@10 (paired bootstrap over users, 95 %)"
SHOWN = ["smaller", "larger", "W", "C", "guided", "plain", "times the FLOPs", "difference", "from", "to", ""]


def size_rows(points: Sequence[Measured]) -> list[dict[str, Any]]:
    """Every guided generator (λ = 1, its largest C of a width) against every larger one's plain beam of that width.

    Only points on the same users, trained in the same way with the same kind of reward, are compared.

    Returns:
        Rows with `SIZE_COLUMNS`; none where there is but one generator.
    """
    usable = [p for p in points if p.row.get("recall@10") is not None and number(p.dial("width"))]
    plain = [p for p in usable if p.row["search"] == "plain"]
    guided = [p for p in usable if p.row["search"] == "guided" and p.dial("weight") == 1 and not p.shuffled
              and number(p.dial("candidates"))]  # fmt: skip
    most: dict[Any, Measured] = {}
    for point in sorted(guided, key=lambda p: p.dial("candidates")):
        key = (recipe(point), point.row["generator"], point.dial("width"))
        most[key] = point
    sizes = {(recipe(p), p.row["generator"]): p.row["parameters"] for p in plain}
    return [
        size_row(smaller, larger)
        for (same, generator, width), smaller in most.items()
        for larger in sorted(plain, key=lambda p: p.row["parameters"])
        if (recipe(larger), larger.dial("width")) == (same, width)
        and larger.row["generator"] != generator  # one size has other parameters with other IDs
        and larger.row["parameters"] > sizes.get((same, generator), math.inf)
    ]


def recipe(point: Measured) -> tuple[Any, ...]:
    """Key that two sizes must share to be compared."""
    return tuple(point.row.get(name) for name in (*USERS, "reward", "training"))


def size_row(smaller: Measured, larger: Measured) -> dict[str, Any]:
    """One comparison, with `SIZE_COLUMNS`."""
    found = difference("", smaller, "", larger)
    values = (
        *(smaller.row[name] for name in ("data", "split", "users", "seed", "seen")),
        *(smaller.row["generator"], larger.row["generator"], smaller.dial("width"), smaller.dial("candidates")),
        *(point.row[name] for name in ("recall@10", "flops_per_user") for point in (smaller, larger)),
        *(found.difference, found.low, found.high),
    )
    return dict(zip(SIZE_COLUMNS, values, strict=True))


def shown(rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """The rows of the printed table."""
    return [
        [
            *(row[name] for name in ("smaller", "larger", "width", "candidates", "guided", "plain")),
            row["guided_flops"] / row["plain_flops"],
            *(row[name] for name in ("difference", "low", "high")),
            verdict(row["low"], row["high"]),
        ]
        for row in rows
    ]


def write_sizes(rows: Sequence[dict[str, Any]], folder: Path) -> dict[str, str]:
    """Write `sizes.csv`; returns the file by name, as the verb reports it."""
    path = folder / "sizes.csv"
    write_csv(pl.DataFrame(rows, infer_schema_length=None), path)
    return {"sizes": str(path)}
