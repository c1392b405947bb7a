"""A smaller generator with guided search against larger ones without: paired differences, what each costs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promise.analysis.analysis_tables import SIZE_COLUMNS
from promise.analysis.headline import write_table
from promise.experiments.findings import USERS, Measured, difference, number

#: Heading and columns of the printed table.
SIZES_TITLE = "Smaller and guided − larger and plain, recall@10 (paired bootstrap over users, 95 %)"
SHOWN = ["smaller", "larger", "W", "C", "guided", "plain", "times the FLOPs", "difference", "from", "to", ""]


def size_rows(points: Sequence[Measured]) -> list[dict[str, Any]]:
    """Every guided generator (λ = 1, its largest C of a width) against every larger one's plain beam of that width.

    Only points on the same users, trained in the same way with the same kind of reward, are compared.

    Args:
        points: Measured points of one sweep, in any order.

    Returns:
        Rows with `SIZE_COLUMNS`; none where there is but one generator.
    """
    usable = [p for p in points if p.row.get("recall@10") is not None and number(p.dial("width"))]
    plain = [p for p in usable if p.row["search"] == "plain"]
    guided: dict[tuple[Any, ...], Measured] = {}
    for point in usable:
        if point.row["search"] == "guided" and point.dial("weight") == 1 and point.dial("control") in (None, "none"):
            key = (recipe(point), point.row["generator"], point.dial("width"))
            if number(point.dial("candidates")) and (
                key not in guided or point.dial("candidates") > guided[key].dial("candidates")
            ):
                guided[key] = point
    sizes = {(recipe(p), p.row["generator"]): p.row["parameters"] for p in plain}
    return [
        row_of(smaller, larger)
        for smaller in guided.values()
        for larger in sorted(plain, key=lambda p: p.row["parameters"])
        if recipe(larger) == recipe(smaller)
        and larger.dial("width") == smaller.dial("width")
        and larger.row["generator"] != smaller.row["generator"]  # one size has other parameters with other IDs
        and larger.row["parameters"] > sizes.get((recipe(smaller), smaller.row["generator"]), math.inf)
    ]


def recipe(point: Measured) -> tuple[Any, ...]:
    """What must agree for two sizes to be compared."""
    return tuple(point.row.get(name) for name in (*USERS, "reward", "training"))


def row_of(smaller: Measured, larger: Measured) -> dict[str, Any]:
    """One comparison."""
    found = difference("", smaller, "", larger)
    own = {name: smaller.row[name] for name in ("data", "split", "users", "seed", "seen")}
    values = {
        "smaller": smaller.row["generator"],
        "larger": larger.row["generator"],
        "width": smaller.dial("width"),
        "candidates": smaller.dial("candidates"),
        "guided": smaller.row["recall@10"],
        "plain": larger.row["recall@10"],
        "guided_flops": smaller.row["flops_per_user"],
        "plain_flops": larger.row["flops_per_user"],
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
    }
    return own | values


def shown(rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """The rows of the printed table."""
    return [
        [
            *(row[name] for name in ("smaller", "larger", "width", "candidates", "guided", "plain")),
            row["guided_flops"] / row["plain_flops"],
            *(row[name] for name in ("difference", "low", "high")),
            "above 0" if row["low"] > 0 else "below 0" if row["high"] < 0 else "not told apart",
        ]
        for row in rows
    ]


def write_sizes(rows: Sequence[dict[str, Any]], folder: Path) -> dict[str, str]:
    """Write `sizes.csv`.

    Returns:
        The file by name, as the verb reports it.
    """
    path = folder / "sizes.csv"
    write_table(rows, path, SIZE_COLUMNS, key=())
    return {"sizes": str(path)}
