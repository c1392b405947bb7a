"""What a sweep or a study leaves beside its table: every figure, one page, and the summary run of W&B."""

import csv
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from promise.analysis.gallery import write_figures
from promise.analysis.html_report import Page, report_html
from promise.analysis.results import results_table
from promise.analysis.wandb_report import Destination, summary_run
from promise.pipeline.config import plain, without_passwords

#: Drawings that other parts of a sweep write, by their headings in the page.
DRAWINGS = {
    "law_figure": "Scaling laws",
    "level_laws_figure": "Scaling laws of the true prefixes that are kept",
    "level_figure": "True prefixes over candidates",
}


def write_report(
    cfg: DictConfig,
    rows: Sequence[Mapping[str, Any]],
    folder: Path,
    findings: Sequence[Mapping[str, Any]] = (),
    paths: Mapping[str, str] | None = None,
    lead: str | None = None,
    command: str | None = None,
) -> dict[str, str]:
    """Write `figure*.svg`, `figure*.png` and `report.html`, and the summary run where W&B is the logger.

    Args:
        cfg: The root config.
        rows: The rows of the table.
        folder: Where the table lies.
        findings: Paired differences as `Finding.as_dict` gives them.
        paths: What the sweep has written so far, by name: its laws are taken into the page.
        lead: The page's opening sentence; None = the first finding's.
        command: What was typed; None = `promise sweep` with the overrides of this job.

    Returns:
        The files and the run's folder by name.
    """
    before = paths or {}
    table = results_table(rows)
    written = write_figures(table, folder)
    if command is None:
        command = f"promise sweep {shlex.join(without_passwords(list(HydraConfig.get().overrides.task)))}"
    config = without_passwords(plain(cfg))
    laws: list[dict[str, Any]] = []
    if "laws" in before:
        with open(before["laws"], newline="", encoding="utf-8") as file:
            laws = [{name: numeric(value) for name, value in row.items()} for row in csv.DictReader(file)]
    page = Page(
        name=str(cfg.sweep.name),
        command=command,
        config=OmegaConf.to_yaml(OmegaConf.create(config)),
        findings=findings,
        lead=lead,
        laws=laws,
        images={title: Path(before[f"{name}_svg"]) for name, title in DRAWINGS.items() if f"{name}_svg" in before},
    )
    path, part = folder / "report.html", folder / f".report.html.{os.getpid()}"
    part.write_text(report_html(table, page), encoding="utf-8")
    part.replace(path)
    written["report"] = str(path)
    if "WandbLogger" in cfg.logger["_target_"]:
        images = [path for path in {**written, **before}.values() if path.endswith(".png")]
        to = Destination(cfg.logger.project, str(cfg.sweep.name), cfg.logger.save_dir, cfg.logger.mode, config)
        written["wandb"] = str(summary_run(table, images, to))
    return written


def numeric(text: str | None) -> Any:
    """A cell of a CSV file: a number where it is one, None where it is empty."""
    if not text:
        return None
    try:
        return float(text) if any(sign in text for sign in ".e") or not text.lstrip("-").isdigit() else int(text)
    except ValueError:
        return text
