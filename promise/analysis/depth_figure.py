"""What the reward is worth at which levels: accuracy with it at none, at one, at several, at all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from promise.analysis.curves import usable
from promise.analysis.drawing import BLACK, GREY, PALETTE
from promise.analysis.figures import STYLE, metric_name, name_figure
from promise.analysis.results import per_level

NOTE = (
    "Bars: 95 % bootstrap interval over users. At the other levels the likelihood alone selects.\n"
    "ORM: all candidates are kept to the end, and ranked once by the reward."
)


@dataclass(frozen=True)
class Setting:
    """The reward at some levels.

    Attributes:
        name: What a reader sees, such as `levels 3, 4`.
        levels: The levels at which it selects; None for an ORM.
        value: The metric, mean over users and seeds.
        low: Lower end of its interval; equal to the value where there is none.
        high: Upper end.
    """

    name: str
    levels: tuple[int, ...] | None
    value: float
    low: float
    high: float


def depth_settings(rows: pl.DataFrame, metric: str = "recall@10") -> tuple[str, list[Setting]]:
    """The settings of one width and C, those with the fewest levels first.

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of the metric's column.

    Returns:
        Which dials they share, and the settings; none where no row gives the reward to some levels only.

    Raises:
        ValueError: If there is no such metric.
    """
    done = [row for row in usable(rows, metric).to_dicts() if row["search"] in ("plain", "guided", "orm")]
    partly = [row for row in done if row["search"] == "guided" and 0 < len(_levels(row)) < len(_weights(row))]
    if not partly:
        return "", []
    keys = [_shared(row) for row in partly]
    shared = max(dict.fromkeys(keys), key=keys.count)
    depth = max(len(_weights(row)) for row in partly)
    found: dict[tuple[str, tuple[int, ...] | None], list[dict[str, object]]] = {}
    for row in done:
        same = _shared(row) == shared
        if row["search"] == "plain" and _shared(row)[:2] == shared[:2]:
            found.setdefault(("no level (plain beam)", ()), []).append(row)
        elif row["search"] == "orm" and same:
            found.setdefault(("ORM", None), []).append(row)
        elif row["search"] == "guided" and same:
            levels = _levels(row) if len(_weights(row)) > 1 else tuple(range(1, depth + 1))
            found.setdefault((_name(levels, depth), levels), []).append(row)
    settings = [
        Setting(name, levels, *(_mean(members, column) for column in (metric, f"{metric}_low", f"{metric}_high")))
        for (name, levels), members in found.items()
    ]
    settings.sort(key=lambda each: (each.levels is None, len(each.levels or ()), each.levels or ()))
    generator, width, candidates, weight = shared
    words = [f"W = {width}", f"C = {candidates}", f"λ = {weight:g}"]
    return ", ".join([*([str(generator)] if generator else []), *words]), settings


def depth_figure(rows: pl.DataFrame, metric: str = "recall@10") -> Figure:
    """Draw accuracy by the levels at which the reward selects.

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of the metric's column.

    Returns:
        A figure of one panel, a line for each setting.

    Raises:
        ValueError: If there is no such metric, or no row gives the reward to some levels only.
    """
    shared, settings = depth_settings(rows, metric)
    if not settings:
        raise ValueError("search.weight must be 0 at some levels and above 0 at others in some row, got no such row")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 1.9 + 0.42 * len(settings)), layout="constrained")
        ax = figure.subplots()
        places = -np.arange(len(settings))
        for place, setting in zip(places, settings, strict=True):
            color = BLACK if setting.levels is None else PALETTE[0] if setting.levels else GREY
            reach = [[setting.value - setting.low], [setting.high - setting.value]]
            ax.errorbar(setting.value, place, xerr=reach, fmt="none", ecolor=color, elinewidth=1.4, alpha=0.55)
            marker = "^" if setting.levels is None else "o" if setting.levels else "s"
            ax.plot(setting.value, place, marker, color=color, label=setting.name, markersize=7)
            ax.annotate(f"{setting.value:.4f}", (setting.value, place), xytext=(0, 7), textcoords="offset points",
                        ha="center", fontsize=9, color=color)  # fmt: skip
        ax.set_yticks(places, [setting.name for setting in settings])
        ax.set_ylim(-len(settings) + 0.4, 0.7)
        ax.yaxis.grid(False)
        ax.tick_params(axis="y", length=0)
        ax.ticklabel_format(axis="x", useOffset=False, style="plain")
        ax.set_xlabel(metric_name(metric))
        ax.set_title(f"Accuracy by the levels at which the reward selects ({shared})", loc="left")
        name_figure(figure, rows, metric, NOTE)
    return figure


def _weights(row: dict[str, object]) -> list[float]:
    return per_level(row.get("search.weight"))


def _levels(row: dict[str, object]) -> tuple[int, ...]:
    """The levels at which a row's λ is above 0."""
    return tuple(level for level, weight in enumerate(_weights(row), start=1) if weight > 0)


def _shared(row: dict[str, object]) -> tuple[object, object, object, float]:
    """What settings must share to be compared: networks, beams, candidates, and λ where it acts."""
    weight = max(_weights(row), default=0.0)
    return row.get("generator"), row.get("search.width"), row.get("search.candidates"), weight


def _name(levels: Sequence[int], depth: int) -> str:
    if len(levels) == depth:
        return f"all {depth} levels"
    if len(levels) == 1:
        return f"level {levels[0]} only"
    return f"levels {', '.join(map(str, levels))}"


def _mean(members: Sequence[dict[str, object]], column: str) -> float:
    """Mean over seeds; the metric's own where an interval is missing."""
    values = [row.get(column) for row in members]
    if any(value is None for value in values):
        return _mean(members, column.removesuffix("_low").removesuffix("_high"))
    return float(np.mean(np.array(values, dtype=np.float64)))
