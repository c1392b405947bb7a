"""One page for one sweep, in one file that needs no network: its finding, its figures, the table, the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from promise.analysis.plots.curves import usable
from promise.analysis.plots.drawing import measured_on
from promise.analysis.plots.gallery import compared
from promise.analysis.report.sentences import best_sentence, finding_sentence
from promise.analysis.report.templates import filled
from promise.analysis.results import METRIC

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
"""Columns that are said once, above the table, where all points share them."""


@dataclass(frozen=True)
class Page:
    """The parts of a report beside its table of results.

    Attributes:
        name: Name of the sweep.
        command: The command that made it.
        config: The resolved config, as YAML; it has no passwords in it.
        findings: Paired differences: `text`, `difference`, `low`, `high`.
        lead: The opening sentence; None = the first finding's.
        laws: Rows of `laws.csv`; empty without a law.
        card: What is known of the data, as pairs of a name and words; empty where the points have different data.
        figures: Drawings (.svg) by their heading, in the order of the page.
    """

    name: str
    command: str
    config: str
    findings: Sequence[Mapping[str, Any]] = ()
    lead: str | None = None
    laws: Sequence[Mapping[str, Any]] = ()
    card: Sequence[tuple[str, str]] = ()
    figures: Mapping[str, Path] = field(default_factory=dict)


def report_html(rows: pl.DataFrame, page: Page) -> str:
    """The page of a sweep, as HTML that holds everything it needs; `page` is what it says beside its table."""
    done = usable(compared(rows), METRIC)
    best = best_sentence(done)
    opening = page.lead or finding_sentence(page.findings) or best
    table = rows.select([name for name in COLUMNS if name in rows.columns])
    values = {name: table[name].drop_nulls().unique().to_list() for name in table.columns}
    shared = {COLUMNS[name]: values[name][0] for name in CONSTANT if len(values.get(name, ())) == 1}
    hidden = [name for name, found in values.items() if not found or found == ["none"] or COLUMNS[name] in shared]
    table = table.drop(hidden)
    if "flops_per_user" in table.columns:
        cost = pl.col("flops_per_user").cast(pl.Float64) / 1e6
        table = table.with_columns(flops_per_user=pl.when(cost > 0).then(cost))  # a baseline has no count
    return filled(
        "report.html.j2",
        {"shown": shown},
        page=page,
        title=f"Sweep {page.name}: {measured_on(done) or 'no finished point'}",
        sentences=[opening, best] if best != opening else [opening],
        state=rows["status"].value_counts(sort=True, name="count").rows(),
        figures={heading: inline_svg(path) for heading, path in page.figures.items()},
        laws=[law for law in page.laws if law.get("along") == "candidates"],
        shared=shared,
        columns=[COLUMNS[name] for name in table.columns],
        points=table.rows(),
    )


def inline_svg(path: Path) -> Markup:
    """A drawing of ours as part of a page: without the declarations that only a file of its own has."""
    text = path.read_text(encoding="utf-8")
    return Markup(text[text.index("<svg") :])


def shown(value: Any) -> str:
    """A value as the page shows it.

    >>> [shown(value) for value in (None, 0.07214, 0.5, 20.0, 12345, "dot")]
    ['–', '0.0721', '0.5', '20', '12,345', 'dot']
    """
    if value is None:
        return "–"
    if isinstance(value, float) and value != round(value):
        if value == round(value, 2):
            return f"{value:g}"
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
