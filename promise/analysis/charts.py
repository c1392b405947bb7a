"""The interactive versions of a sweep's figures (Plotly): the same points, to be pointed at and switched off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from promise.analysis.curves import BEAMS, Along, Curve, Point, curves, per_level, usable
from promise.analysis.depth_figure import depth_settings
from promise.analysis.drawing import BLACK, PALETTE, Look, log_ticks, looks, plain_number
from promise.analysis.figures import flops_words, metric_name, value_range
from promise.analysis.frontier import knee, pareto
from promise.analysis.gallery import supported
from promise.analysis.hrecall_figure import gain_over_plain, kept_prefixes
from promise.analysis.size_figure import size_grids

DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot", "": "solid"}
SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "D": "diamond", "P": "cross"}
LAYOUT: dict[str, Any] = {
    "template": "plotly_white",
    "height": 480,
    "margin": {"l": 70, "r": 20, "t": 20, "b": 60},
    "font": {"family": "system-ui, sans-serif", "size": 14},
    "legend": {"tracegroupgap": 0},
    "hoverlabel": {"align": "left"},
}
FLOPS = "compute per user (log scale; one multiply-add = 2 FLOP)"
CANDIDATES = "candidates C scored per level (paths, log scale; plain beam: C = W)"
WEIGHT = "λ (0 = likelihood alone: the plain beam; 1 = reward alone)"


def charts(rows: pl.DataFrame, metric: str = "recall@10") -> dict[str, go.Figure]:
    """Every chart that a table supports, by name, the one that shows the dial that varies first.

    Args:
        rows: A table as `results_table` makes it.
        metric: Name of the metric's column.

    Raises:
        ValueError: If there is no such metric.
    """
    if not len(usable(rows, metric)):
        return {}
    found = {name: CHARTS[name](rows, metric) for name in supported(rows, metric)}
    more = {"dials": dials_chart(rows, metric), "drift": drift_chart(rows)}
    return found | {name: chart for name, chart in more.items() if chart is not None}


def candidates_chart(rows: pl.DataFrame, metric: str = "recall@10") -> go.Figure:
    """Accuracy against candidates."""
    return _lines(rows, metric, "candidates", lambda point: point.candidates, CANDIDATES, log=True)


def frontier_chart(rows: pl.DataFrame, metric: str = "recall@10") -> go.Figure:
    """Accuracy against FLOPs per user, with the frontier and its knee."""
    chart = _lines(rows, metric, "width", lambda point: point.flops, FLOPS, log=True, band=False)
    points = [point for curve in curves(rows, metric, "width") for point in curve.points if point.flops == point.flops]
    if not points:
        return chart
    costs, values = [point.flops for point in points], [point.value for point in points]
    front = sorted({(costs[i], values[i]) for i in np.flatnonzero(pareto(costs, values))})
    xs, ys = zip(*front, (max(costs), front[-1][1]), strict=True)
    step = {"color": "#c8c8c8", "width": 6, "shape": "hv"}
    chart.add_scatter(x=xs, y=ys, name="frontier", mode="lines", line=step, hoverinfo="skip")
    chart.data = (chart.data[-1], *chart.data[:-1])  # under the points
    bend = knee(costs, values)
    if bend is not None and len(front) > 2:
        ring = {"symbol": "circle-open", "size": 18, "color": BLACK, "line": {"width": 2}}
        chart.add_scatter(x=[costs[bend]], y=[values[bend]], name="knee", mode="markers", marker=ring, hoverinfo="skip")
    return chart


def weight_chart(rows: pl.DataFrame, metric: str = "recall@10") -> go.Figure:
    """Accuracy against λ; searches without λ are horizontal lines."""
    return _lines(rows, metric, "weight", lambda point: point.weight, WEIGHT, log=False)


def size_chart(rows: pl.DataFrame, metric: str = "recall@10") -> go.Figure:
    """Accuracy over the generator's size and the budget of guided search, or of plain beams without it."""
    grid = size_grids(rows, metric)[-1]
    budgets, values = grid.surface()
    names = [escape(name) for name in grid.generators]
    contour = go.Contour(
        x=budgets, y=names, z=values, colorscale="Cividis", contours={"coloring": "heatmap", "showlabels": True},
        hovertemplate="generator %{y}, C = %{x}<br>%{z:.4f}<extra></extra>", colorbar={"title": metric},
    )  # fmt: skip
    chart = go.Figure(contour, layout=LAYOUT)
    chart.update_xaxes(type="log", title=f"{grid.name}: beams or candidates (paths, log scale)", tickvals=budgets)
    chart.update_yaxes(title="generator, the smallest below")
    return chart


def depth_chart(rows: pl.DataFrame, metric: str = "recall@10") -> go.Figure:
    """Accuracy by the levels at which the reward selects."""
    shared, settings = depth_settings(rows, metric)
    reach = {
        "type": "data", "symmetric": False,
        "array": [each.high - each.value for each in settings],
        "arrayminus": [each.value - each.low for each in settings],
    }  # fmt: skip
    names = [each.name for each in settings]
    dots = go.Scatter(
        x=[each.value for each in settings], y=names, error_x=reach, mode="markers", name=shared,
        marker={"size": 11, "color": PALETTE[0]}, hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )  # fmt: skip
    chart = go.Figure(dots, layout=LAYOUT)
    chart.update_xaxes(title=metric_name(metric))
    chart.update_yaxes(autorange="reversed", automargin=True, title=f"reward acts at ({escape(shared)})")
    return chart


def hrecall_chart(rows: pl.DataFrame, metric: str = "recall@10") -> go.Figure:
    """HRecall per level; pointing at a guided search also gives its difference to the plain beam of its width."""
    chart = go.Figure(layout=LAYOUT)
    found = kept_prefixes(rows)
    for kept in found:
        gain = gain_over_plain(kept, found)
        words = [
            "" if gain is None else f"<br>{100 * gain[i]:+.2f} points beside plain" for i in range(len(kept.shares))
        ]
        chart.add_scatter(
            x=list(range(1, len(kept.shares) + 1)), y=list(kept.shares), customdata=words, name=escape(kept.name),
            hovertemplate="level %{x}: %{y:.4f}%{customdata}", **_style(kept.look),
        )  # fmt: skip
    chart.update_xaxes(title="level of the semantic ID", dtick=1)
    ticks = [step * 10.0**decade for decade in range(-5, 1) for step in (1, 2, 3, 5, 7) if step * 10.0**decade <= 1]
    words = [plain_number(tick) for tick in ticks]
    chart.update_yaxes(title="HRecall (share of users, log scale)", type="log", tickvals=ticks, ticktext=words)
    return chart


def dials_chart(rows: pl.DataFrame, metric: str = "recall@10") -> go.Figure | None:
    """Accuracy of guided search over width and expansion: a heat map; None without two of each.

    Dials that were drawn at random leave most of such a map empty: then it is coloured points instead.
    """
    guided = usable(rows, metric).filter(pl.col("search") == "guided")
    points: dict[tuple[float, float], list[float]] = {}
    for row in guided.to_dicts():
        width, c = per_level(row.get("search.width")), per_level(row.get("search.candidates"))
        if width and c:
            points.setdefault((max(width), round(max(c) / max(width), 3)), []).append(row[metric])
    best = {place: max(values) for place, values in points.items()}
    widths, expansions = (sorted(set(axis)) for axis in zip(*best, strict=True)) if best else ([], [])
    if len(widths) < 2 or len(expansions) < 2:
        return None
    chart = go.Figure(layout=LAYOUT)
    if len(widths) * len(expansions) <= 2 * len(best):
        z = [[best.get((w, e)) for w in widths] for e in expansions]
        chart.add_heatmap(
            x=[f"{w:g}" for w in widths], y=[f"{e:g}" for e in expansions], z=z, colorscale="Cividis",
            texttemplate="%{z:.4f}", hovertemplate="W = %{x}, C = %{y} W: %{z:.4f}<extra></extra>", hoverongaps=False,
            colorbar={"title": metric},
        )  # fmt: skip
        chart.update_xaxes(title="beams W", type="category")
        chart.update_yaxes(title="expansion C / W", type="category")
        return chart
    xs, ys = zip(*best, strict=True)
    marker = {"size": 13, "color": list(best.values()), "colorscale": "Cividis", "colorbar": {"title": metric}}
    hover = "W = %{x}, C = %{y} W: %{marker.color:.4f}<extra></extra>"
    chart.add_scatter(x=xs, y=ys, mode="markers", marker=marker, hovertemplate=hover)
    chart.update_xaxes(title="beams W (log scale)", type="log")
    chart.update_yaxes(title="expansion C / W (log scale)", type="log")
    return chart


def drift_chart(rows: pl.DataFrame) -> go.Figure | None:
    """Accuracy of greedy codes per level, after true codes and after the model's own; None where no row has it."""
    names = [f"teacher_forced@{level}" for level in range(1, 33) if f"teacher_forced@{level}" in rows.columns]
    measured = rows.filter(pl.col(names[0]).is_not_null()) if names else rows.clear()
    if measured.is_empty():
        return None
    chart = go.Figure(layout=LAYOUT)
    for name, words, color in (("teacher_forced", "after true codes", 0), ("free_running", "after own codes", 1)):
        columns = [column.replace("teacher_forced", name) for column in names]
        values = [measured[column][0] for column in columns]
        chart.add_scatter(x=list(range(1, len(values) + 1)), y=values, name=words, line={"color": PALETTE[color]})
    chart.update_xaxes(title="level of the semantic ID", dtick=1)
    chart.update_yaxes(title="accuracy of the greedy code (share of users)", rangemode="tozero")
    return chart


CHARTS: dict[str, Callable[[pl.DataFrame, str], go.Figure]] = {
    "candidates": candidates_chart,
    "frontier": frontier_chart,
    "weight": weight_chart,
    "size": size_chart,
    "depth": depth_chart,
    "hrecall": hrecall_chart,
}
"""Every chart by the name of its figure."""


def _lines(
    rows: pl.DataFrame,
    metric: str,
    along: Along,
    place: Callable[[Point], float],
    title: str,
    log: bool,
    band: bool = True,
) -> go.Figure:
    """Draw curves where their points have a place along x, the others as horizontal lines."""
    drawn = curves(rows, metric, along)
    style = looks(drawn)
    chart = go.Figure(layout=LAYOUT)
    ends = sorted({x for curve in drawn for point in curve.points if np.isfinite(x := place(point))})
    bottom, top = value_range(drawn)  # of the searches: a far baseline must not squeeze them
    for curve in drawn:
        points = [point for point in curve.points if np.isfinite(place(point))]
        look, name = style[curve.name], escape(curve.name)
        if points:
            _add_line(chart, curve, points, [place(point) for point in points], look, band)
        elif ends and not curve.scattered and not (along == "width" and curve.search in BEAMS):
            for point in curve.points:
                off = "" if bottom <= point.value <= top else f" {'↑' if point.value > top else '↓'} {point.value:.4f}"
                chart.add_scatter(
                    x=[ends[0], ends[-1]], y=[point.value] * 2, name=f"{name}{off}", mode="lines",
                    line={"color": look.color, "dash": DASHES[look.line]}, hovertemplate=_hover(curve, point),
                )  # fmt: skip
    chart.update_xaxes(title=title, type="log" if log else "linear")
    if log and ends:
        spread = max((ends[-1] / ends[0]) ** 0.06, 1.06)
        low, high = ends[0] / spread, ends[-1] * spread
        ticks = log_ticks(low, high, () if along == "width" else ends)
        words = [flops_words(tick) if along == "width" else plain_number(tick) for tick in ticks]
        chart.update_xaxes(range=[np.log10(low), np.log10(high)], tickvals=ticks, ticktext=words, tickangle=0)
    chart.update_yaxes(title=metric_name(metric), range=[bottom, top])
    return chart


def _add_line(
    chart: go.Figure, curve: Curve, points: Sequence[Point], xs: Sequence[float], look: Look, band: bool
) -> None:
    """Add the points of a curve, with their intervals as a band or as bars."""
    low, high = ([getattr(point, end) for point in points] for end in ("low", "high"))
    known = all(np.isfinite([*low, *high]))
    settings: dict[str, Any] = {"legendgroup": curve.name, "x": list(xs)}
    if known and band and len(set(xs)) > 1 and not curve.scattered:
        red, green, blue = (int(look.color[place : place + 2], 16) for place in (1, 3, 5))
        around = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        chart.add_scatter(y=low, **settings, **around)
        chart.add_scatter(y=high, fill="tonexty", fillcolor=f"rgba({red},{green},{blue},0.13)", **settings, **around)
    values = [point.value for point in points]
    if known and (curve.scattered or not band):
        up, down = ([abs(a - b) for a, b in zip(ends, values, strict=True)] for ends in (high, low))
        bars = {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1, "width": 0}
        settings["error_y"] = bars
    chart.add_scatter(
        y=values, name=escape(curve.name), hovertemplate=[_hover(curve, point) for point in points],
        **(_style(look) | ({"mode": "markers"} if curve.scattered else {})), **settings,
    )  # fmt: skip


def _style(look: Look) -> dict[str, Any]:
    """How a line of a look is drawn."""
    return {
        "mode": "lines+markers",
        "line": {"color": look.color, "dash": DASHES[look.line], "width": 2},
        "marker": {"color": look.color, "symbol": SYMBOLS[look.marker], "size": 9},
    }


def _hover(curve: Curve, point: Point) -> str:
    """What pointing at a point says: dials, metric with its interval, cost."""
    lines = [f"<b>{escape(curve.name)}</b>", f"{point.value:.4f}"]
    if np.isfinite([point.low, point.high]).all():
        lines[-1] += f" ({point.low:.4f} to {point.high:.4f})"
    dials = [f"W = {point.width_name}"] if point.width_name else []
    dials += [f"{name} = {value:g}" for name, value in (("C", point.candidates), ("λ", point.weight)) if value == value]
    lines += [", ".join(dials)] if dials else []
    lines += [f"{flops_words(point.flops)} per user"] if point.flops == point.flops else []
    return "<br>".join(lines) + "<extra></extra>"
