"""What a sweep shows, in sentences: the first finding with its interval, the most accurate point, the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from promise.analysis.plots.curves import NAMES, curves
from promise.analysis.plots.drawing import metric_name
from promise.analysis.units import flops_text

INTERVAL = "95 % interval"


def finding_sentence(findings: Sequence[Mapping[str, Any]]) -> str | None:
    """The first paired difference with an interval, as a sentence.

    Args:
        findings: Each with `text` (`recall@10: A − B`), `difference`, `low` and `high`.

    Returns:
        None where no finding has an interval.

    Example:
        >>> found = {"text": "recall@10: guided W=10 C=40 − plain W=10", "difference": 0.01, "low": 0.004, "high": 0.016}
        >>> finding_sentence([found])
        'Recall@10 of guided W=10 C=40 is 0.0100 above that of plain W=10 (95 % interval +0.0040 to +0.0160, paired over users).'
    """  # noqa: E501
    for found in findings:
        metric, colon, rest = str(found["text"]).partition(": ")
        first, minus, second = rest.partition(" − ")
        if not colon or not minus or found.get("low") is None or found.get("high") is None:
            continue
        low, high, difference = (float(found[name]) for name in ("low", "high", "difference"))
        name = f"{metric[:1].upper()}{metric[1:]}"
        ends = f"{INTERVAL} {low:+.4f} to {high:+.4f}, paired over users"
        if low <= 0 <= high:
            return f"{name} of {first.strip()} and of {second} are not told apart: {difference:+.4f} ({ends})."
        way = "above" if low > 0 else "below"
        return f"{name} of {first.strip()} is {abs(difference):.4f} {way} that of {second} ({ends})."
    return None


def best_sentence(rows: pl.DataFrame, metric: str = "recall@10") -> str:
    """The most accurate point with its interval and its cost, as a sentence.

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of the metric's column.

    Raises:
        ValueError: If there is no such metric.
    """
    points = [(point.value, curve, point) for curve in curves(rows, metric, "candidates") for point in curve.points]
    if not points:
        return f"No finished point has {metric}."
    value, curve, point = max(points, key=lambda each: each[0])
    name = f"{metric[:1].upper()}{metric[1:]}"
    words = f"The highest {name} is {value:.4f}"
    if point.low == point.low and point.high == point.high:
        words += f" ({INTERVAL} {point.low:.4f} to {point.high:.4f})"
    name = ", ".join([*curve.context, NAMES.get(curve.search, curve.search)]) if curve.scattered else curve.name
    words += f", by {name}"
    if curve.search == "plain" or (curve.scattered and point.width_name):
        words += f", W = {point.width_name}"
    if point.candidates == point.candidates and curve.search != "plain":
        words += f", C = {point.candidates:g}"
    if curve.scattered and point.weight == point.weight:
        words += f", λ = {point.weight:g}"
    if point.flops == point.flops:
        words += f", at {flops_text(point.flops)} per user"
    return words + "; being the highest of several, it is somewhat flattered."


def trial_sentence(row: Mapping[str, Any], role: str, metric: str = "recall@10") -> str:
    """The trial that a study proposes, as a sentence.

    Args:
        row: The trial's row.
        role: What it is, such as `The knee of the front`.
        metric: Name of the metric.

    Example:
        >>> row = {"trial": 7, "search": "plain", "search.width": 20, "recall@10": 0.1, "flops_per_user": 5e7}
        >>> trial_sentence(row, "The best trial")
        'The best trial is number 7: Recall@10 0.1000, at 50 MFLOP per user, by plain, W = 20.'
    """
    words = f"{role} is number {row['trial']}"
    if row.get(metric) is not None:  # a beam of fewer than 10 has no Recall@10
        words += f": {metric[:1].upper()}{metric[1:]} {row[metric]:.4f}"
    if row.get(f"{metric}_low") is not None:
        words += f" ({INTERVAL} {row[f'{metric}_low']:.4f} to {row[f'{metric}_high']:.4f})"
    if row.get("flops_per_user"):
        words += f", at {flops_text(row['flops_per_user'])} per user"
    names = {"width": "W", "candidates": "C", "weight": "λ"}
    dials = [(name, row.get(f"search.{dial}")) for dial, name in names.items()]
    if row["search"] == "plain":
        dials = dials[:1]
    chosen = [f"{name} = {value:g}" if isinstance(value, int | float) else f"{name} = {value}"
              for name, value in dials if value is not None]  # fmt: skip
    return f"{words}, by {', '.join([row['search'], *chosen])}."


def state_sentence(rows: pl.DataFrame, metric: str = "recall@10") -> str:
    """How many points there are, and how many failed or were given up, as a sentence."""
    status = rows["status"].fill_null("done").to_list() if "status" in rows.columns else ["done"] * len(rows)
    words = f"{len(rows)} point{'' if len(rows) == 1 else 's'}"
    for state, name in (("failed", "failed"), ("pruned", "given up early")):
        if count := status.count(state):
            words += f", {count} {name}"
    return f"{words}; the metric of the charts is {metric_name(metric)}."
