"""One page for one sweep, in one file that needs no network: its finding, interactive charts, the table, the config."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from promise.analysis.curves import usable
from promise.analysis.figures import measured_on
from promise.analysis.gallery import compared
from promise.analysis.report.sentences import best_sentence, finding_sentence, state_sentence

if TYPE_CHECKING:
    import plotly.graph_objects as go

CAPTIONS = {
    "candidates": ("Accuracy against candidates", "Bands: 95 % bootstrap interval over users."),
    "frontier": (
        "Accuracy against compute",
        "Grey step: the best accuracy that each cost buys. Ring: its knee, the point farthest above the line between "
        "its ends in log cost; drawn where the frontier has three points or more. Bars: 95 % bootstrap interval over "
        "users.",
    ),
    "weight": ("Accuracy against the weight of the reward model", "Bands: 95 % bootstrap interval over users."),
    "size": (
        "A larger generator or more search",
        "Lines join settings of equal accuracy, interpolated between the points.",
    ),
    "depth": (
        "Accuracy by the levels at which the reward selects",
        "At the other levels the likelihood alone selects. Bars: 95 % bootstrap interval over users.",
    ),
    "hrecall": (
        "True prefix still among the beams, level by level",
        "HRecall: share of users whose true prefix is among the beams kept at a level. Of each line over C, the point "
        "with the largest C.",
    ),
    "dials": ("Accuracy over width and expansion", "Guided search; the best of the points that share both dials."),
    "drift": (
        "Accuracy of the greedy code",
        "After the true codes before it (teacher-forced), and after the model's own (free-running): the gap is drift.",
    ),
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; margin: 0 auto; max-width: 1200px; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .2rem; }
.finding { font-size: 1.25rem; margin: 1rem 0 .4rem; } .note { color: #5c5c5c; margin: .1rem 0 .4rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e6e6e6; }
th { border-bottom-color: #909090; vertical-align: bottom; } td.text, th.text, th.long { text-align: left; }
th { white-space: normal; } td.long { text-align: left; white-space: normal; min-width: 14rem; }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem; } img { max-width: 100%; }
"""
# Columns of the page's table; all others are in results.csv.
COLUMNS = {
    "trial": "trial", "data": "data", "split": "split", "seed": "seed", "seen": "past items", "search": "search",
    "generator": "generator", "reward": "reward", "training": "training", "further": "further dials",
    "search.width": "W", "search.candidates": "C", "search.weight": "λ", "search.control": "control",
    "search.samples": "samples",
    "recall@10": "R@10", "recall@10_low": "from", "recall@10_high": "to", "ndcg@10": "N@10", "ndcg@10_low": "from",
    "ndcg@10_high": "to", "flops_per_user": "MFLOP per user", "decoder_tokens_per_user": "decoder tokens per user",
    "prm_paths_per_user": "scored paths per user", "parameters": "parameters", "seconds": "seconds", "status": "status",
    "error": "error",
}  # fmt: skip
CONSTANT = ("data", "split", "seed", "seen", "reward", "training", "status")
DIALS = ("search.width", "search.candidates", "search.weight")


@dataclass(frozen=True)
class Page:
    """What a report says beside its table of results.

    Attributes:
        name: Name of the sweep.
        command: The command that made it.
        config: The resolved config, as YAML; it has no passwords in it.
        findings: Paired differences: `text`, `difference`, `low`, `high`.
        lead: The opening sentence; None = the first finding's.
        laws: Rows of `laws.csv`; empty without a law.
        images: Drawings (.svg) that have no interactive version, by their heading.
    """

    name: str
    command: str
    config: str
    findings: Sequence[Mapping[str, Any]] = ()
    lead: str | None = None
    laws: Sequence[Mapping[str, Any]] = ()
    images: Mapping[str, Path] = field(default_factory=dict)


def report_html(rows: pl.DataFrame, page: Page, metric: str = "recall@10") -> str:
    """Write the page of a sweep.

    Args:
        rows: A table as `results_table` makes it.
        page: What else it says.
        metric: Name of the metric's column that the charts show.

    Returns:
        HTML that holds everything it needs.

    Raises:
        ValueError: If there is no such metric.
    """
    from plotly.offline import get_plotlyjs

    from promise.analysis.charts import charts

    drawn = compared(rows)
    opening = page.lead or finding_sentence(page.findings) or best_sentence(drawn, metric)
    best = best_sentence(drawn, metric)
    title = f"Sweep {page.name}: {measured_on(usable(drawn, metric)) or 'no finished point'}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="finding">{escape(opening)}</p>',
        *([f"<p>{escape(best)}</p>"] if best != opening else []),
        f'<p class="note">{escape(state_sentence(rows, metric))}</p>',
        *(_section(name, chart) for name, chart in charts(drawn, metric).items()),
        *(f'<h2>{escape(heading)}</h2><img alt="{escape(heading)}" src="{_data(path)}">'
          for heading, path in page.images.items()),
        _findings(page.findings),
        _laws(page.laws),
        _points(rows),
        f"<h2>Command</h2><pre>{escape(page.command)}</pre>",
        f"<details><summary>Config</summary><pre>{escape(page.config)}</pre></details>",
    ]  # fmt: skip
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style><script>{get_plotlyjs()}</script></head>\n<body>"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _section(name: str, chart: go.Figure) -> str:
    """A chart with its heading and how to read it."""
    heading, caption = CAPTIONS[name]
    buttons = ["toImage", "zoom2d", "pan2d", "resetScale2d"]
    config = {"displaylogo": False, "responsive": True, "modeBarButtons": [buttons]}
    drawing = chart.to_html(full_html=False, include_plotlyjs=False, div_id=f"chart-{name}", config=config)
    return f'<section><h2>{heading}</h2><p class="note">{caption}</p>{drawing}</section>'


def _data(path: Path) -> str:
    """A drawing as a data URL."""
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _table(heading: str, note: str, columns: Sequence[str], cells: Sequence[Sequence[Any]]) -> str:
    """A table of cells as they are to be shown, text to the left and numbers to the right."""
    texts = [[row[i] for row in cells if isinstance(row[i], str)] for i in range(len(columns))]
    long = [bool(column) and max(map(len, column)) > 60 for column in texts]
    kinds = [
        f' class="{"long" if wraps else "text"}"' if column else "" for column, wraps in zip(texts, long, strict=True)
    ]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(_shown(value))}</td>" for kind, value in zip(kinds, row, strict=True))
        + "</tr>" for row in cells
    )  # fmt: skip
    return (
        f'<h2>{escape(heading)}</h2><p class="note">{escape(note)}</p><div class="wide"><table><thead><tr>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def _shown(value: Any) -> str:
    """A value as the page shows it."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _dial(value: Any) -> str:
    """A dial's number without zeros behind it, or its numbers per level as they are."""
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    """The paired differences."""
    if not findings:
        return ""
    cells = [[str(found["text"]), *(found.get(name) for name in ("difference", "low", "high"))] for found in findings]
    note = "First minus second, users paired; 95 % intervals, those of steps in C hold together."
    return _table("Differences", note, ["what", "difference", "from", "to"], cells)


def _laws(laws: Sequence[Mapping[str, Any]]) -> str:
    """The fitted laws over C."""
    over_c = [law for law in laws if law.get("along") == "candidates"]
    if not over_c:
        return ""
    names = ("form", "a", "b", "c", "predicted", "observed")
    cells = [
        [
            f"{law.get('metric')}, {law.get('generator')}, "
            f"W = {_dial(law.get('width'))}, λ = {_dial(law.get('weight'))}",
            *(law.get(name) for name in names),
            law.get("reason") or law.get("verdict"),
        ]
        for law in over_c
    ]
    note = "x is C, x0 the smallest; fitted without the largest C, whose prediction is held against what was observed."
    return _table("Scaling laws", note, ["curve", *names, "remark"], cells)


def _points(rows: pl.DataFrame) -> str:
    """The rows, without columns that say nothing; what all of them share is said once."""
    table = rows.select([name for name in COLUMNS if name in rows.columns])
    values = {name: table[name].drop_nulls().unique().to_list() for name in table.columns}
    shared = {name: found[0] for name, found in values.items() if name in CONSTANT and len(found) == 1}
    empty = [name for name, found in values.items() if not found or (name == "search.control" and found == ["none"])]
    table = table.drop({*shared, *empty})
    cost = pl.col("flops_per_user").cast(pl.Float64) / 1e6
    if "flops_per_user" in table.columns:
        table = table.with_columns(pl.when(cost > 0).then(cost).alias("flops_per_user"))  # a baseline has no count
    table = table.with_columns(
        pl.col(name).map_elements(_dial, return_dtype=pl.String)
        for name in DIALS
        if name in table.columns and table[name].dtype.is_numeric()
    )
    words = ", ".join(f"{COLUMNS[name]} {value}" for name, value in shared.items())
    note = f"{f'All: {words}. ' if words else ''}From and to: 95 % interval. More columns are in results.csv."
    return _table("Points", note, [COLUMNS[name] for name in table.columns], table.rows())
