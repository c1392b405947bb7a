"""RESULTS.md: the committed rows as one page, by a template over their tables and from nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promise.analysis.report.headline import COMPARED, METHODS, SEEN, Headline, claimed, read_headline
from promise.analysis.report.sweep_tables import DRIFT_MEASURES, drift_table, kept_sweeps, law_table
from promise.analysis.report.templates import filled
from promise.analysis.results import protocol
from promise.analysis.units import MISSING, flops_text


def build(folder: Path) -> str:
    """The text of RESULTS.md.

    Args:
        folder: Where the committed rows lie; a file `notes.md` there is taken in as it is.

    Returns:
        The text; the same for the same files. What has no rows is left out.

    Raises:
        ValueError: If the folder is missing, or a file in it is not what its name says.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder of results: {folder}")
    headline = read_headline(folder)
    sweeps = list(kept_sweeps(folder))
    notes = folder / "notes.md"
    filters = {
        "metric": metric, "signed": signed, "claim": claim, "difference": difference, "short": short, "band": band,
        "titled": titled, "cell": cell, "flops": flops_text, "protocol": protocol, "thousands": "{:,}".format,
    }  # fmt: skip
    text = filled(
        "results.md.j2",
        filters,
        h=headline,
        about=METHODS,
        compared=COMPARED,
        protocols=SEEN,
        measures=DRIFT_MEASURES,
        notes=notes.read_text("utf-8").strip() if notes.exists() else "",
        beams=lambda dataset: beams(headline, dataset),
        sweeps=sweeps,
        drifts=[(path, *drift_table(path)) for path in sorted(folder.glob("drift-*.csv"))],
        laws=[(path, law_table(path)) for path in sorted(folder.glob("laws-*.csv"))],
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def metric(value: float | None, sign: str = "") -> str:
    """A metric without its leading zero; a dash where there is none.

    >>> [metric(value) for value in (0.08214, 1.0, -0.00004, -0.0104, None)]
    ['.0821', '1.0000', '.0000', '−.0104', '–']
    """
    if value is None:
        return MISSING
    text = f"{abs(value):.4f}"
    sign = ("−" if value < 0 else sign) if float(text) else ""
    return sign + text.removeprefix("0")


def signed(value: float | None) -> str:
    """A difference.

    >>> [signed(value) for value in (0.0104, -0.0104, 0.0)]
    ['+.0104', '−.0104', '.0000']
    """
    return metric(value, "+")


def difference(row: Mapping[str, Any]) -> str:
    """A comparison's difference, bold where it is claimed."""
    return f"**{signed(row['difference'])}**" if claimed(row) else signed(row["difference"])


def claim(row: Mapping[str, Any] | None) -> str:
    """The same with its interval; a dash where nothing was compared.

    >>> claim({"difference": 0.01, "low": 0.005, "high": 0.015, "seed_min": 0.009, "seed_max": 0.011})
    '**+.0100** (.0050 to .0150)'
    """
    return f"{difference(row)} ({metric(row['low'])} to {metric(row['high'])})" if row else MISSING


def band(row: Mapping[str, Any], name: str, sign: str = "") -> str:
    """A value with its interval; a dash where the row has none.

    >>> band({"c": 1.2, "c_low": 0.9, "c_high": 1.6}, "c"), band({"c": None}, "c")
    ('1.2000 (.9000 to 1.6000)', '–')
    """
    if row[name] is None:
        return MISSING
    return f"{metric(row[name], sign)} ({metric(row[f'{name}_low'])} to {metric(row[f'{name}_high'])})"


def short(name: str) -> str:
    """A metric's short name.

    >>> short("recall@10"), short("hrecall@2")
    ('R@10', 'HRecall@2')
    """
    return name.replace("hrecall@", "HRecall@").replace("recall@", "R@").replace("ndcg@", "N@")


def titled(dataset: str) -> str:
    """A data set's name in a heading.

    >>> titled("amazon_beauty (count_free)")
    'Amazon Beauty (count-free)'
    >>> titled("amazon_union:ties=shuffle (count_free)")
    'Amazon Union, ties=shuffle (count-free)'
    """
    named, space, recipe = dataset.partition(" (")
    name, *changed = named.split(":")
    return ", ".join([name.replace("_", " ").title(), *changed]) + space + recipe.replace("_", "-")


def cell(text: Any) -> str:
    """Text that does not end its table's cell."""
    return ("" if text is None else str(text)).replace("|", "\\|").replace("\n", " ")


def beams(headline: Headline, dataset: str) -> str:
    """Numbers of beams that the commands of a data set's rows name; empty where they take the configuration's own."""
    commands = [str(row["command"]) for (data, *_), row in headline.means.items() if data == dataset]
    return ", ".join(sorted(set(re.findall(r"search\.width=(\d+)", " ".join(commands)))))
