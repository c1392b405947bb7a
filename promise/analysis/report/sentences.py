"""Sentences about a sweep: the first finding with its interval, the most accurate point, a study's trial."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from promise.analysis.results import COUNTS, METRIC
from promise.analysis.units import flops_text


def finding_sentence(findings: Sequence[Mapping[str, Any]]) -> str | None:
    """The first paired difference with an interval, as a sentence; None where no finding has one.

    >>> finding_sentence([{"text": "recall@10: a − b", "difference": 0.01, "low": 0.004, "high": 0.016}])
    'Recall@10: a − b is +0.0100 (95 % interval +0.0040 to +0.0160, paired over users).'
    """
    for found in findings:
        if found.get("low") is not None:
            text, difference, low, high = (found[name] for name in ("text", "difference", "low", "high"))
            told = f"{difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}, paired over users)"
            return f"{text[:1].upper()}{text[1:]} is {told}{', not told apart' if low <= 0 <= high else ''}."
    return None


def point_sentence(row: Mapping[str, Any], role: str) -> str:
    """A point: its accuracy with the interval, its cost, its dials; `role` says what it is.

    >>> row = {"search": "plain", "search.width": 20, "recall@10": 0.1, "flops_per_user": 5e7}
    >>> point_sentence(row, "The best point")
    'The best point: recall@10 0.1000, at 50 MFLOP per user, by plain, W = 20.'
    """
    words = []
    if row.get(METRIC) is not None:  # a beam of fewer than 10 has no Recall@10
        words.append(f"{METRIC} {row[METRIC]:.4f}")
        if row.get(f"{METRIC}_low") is not None:
            words[0] += f" (95 % interval {row[f'{METRIC}_low']:.4f} to {row[f'{METRIC}_high']:.4f})"
    if row.get("flops_per_user"):
        words.append(f"at {flops_text(row['flops_per_user'])} per user")
    signs = {"width": "W"} if row["search"] == "plain" else {"width": "W", "candidates": "C", "weight": "λ"}
    dials = {sign: row.get(f"search.{dial}") for dial, sign in signs.items()}
    told = [f"{sign} = {value:g}" if isinstance(value, int | float) else f"{sign} = {value}"
            for sign, value in dials.items() if value is not None]  # fmt: skip
    words += [f"by {row['search']}", *told]
    return f"{role}: {', '.join(words)}."


def best_sentence(rows: pl.DataFrame) -> str:
    """The most accurate search of some finished points, as a sentence; counts and a ceiling are none."""
    rows = rows.filter(~pl.col("search").is_in(COUNTS))
    if rows.is_empty():
        return f"No finished search has {METRIC}."
    best = rows.sort(METRIC, descending=True, maintain_order=True).row(0, named=True)
    return point_sentence(best, "The most accurate search, being the highest of several somewhat flattered")
