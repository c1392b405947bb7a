"""What a sweep or a study leaves beside its table: every figure, one page, and its points in the configured logger."""

import csv
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.image import imread
from omegaconf import DictConfig, OmegaConf

from promise.analysis.plots.gallery import FIGURES, compared, supported, write_figures
from promise.analysis.report.html import Page, report_html
from promise.analysis.results import results_table
from promise.analysis.wandb_summary import STEP, points_by_cost, summary_run
from promise.pipeline.config import plain, without_passwords
from promise.pipeline.trainer import finish, make_logger

#: Figures that other parts of a sweep write, by their headings in the page.
LAWS = {
    "law_figure": "Scaling laws",
    "level_laws_figure": "Scaling laws of the true prefixes that are kept",
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
    """Write `figure*.svg`, `figure*.png` and `report.html`; log points and figures as the config's logger can.

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
    drawings = [Path(path) for name, path in written.items() if name.endswith("_svg")]
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
        figures={FIGURES[name][0]: path for name, path in zip(supported(compared(table)), drawings, strict=True)}
        | {title: Path(before[f"{name}_svg"]) for name, title in LAWS.items() if f"{name}_svg" in before},
    )
    path, part = folder / "report.html", folder / f".report.html.{os.getpid()}"
    part.write_text(report_html(table, page), encoding="utf-8")
    part.replace(path)
    written["report"] = str(path)
    images = [path for path in {**written, **before}.values() if path.endswith(".png")]
    if "WandbLogger" in cfg.logger["_target_"]:
        group, where = str(cfg.sweep.name), (cfg.logger.save_dir, cfg.logger.mode)
        written["wandb"] = str(summary_run(table, images, cfg.logger.project, group, *where, config))
    else:
        log_points(cfg, table, images)
    return written


def log_points(cfg: DictConfig, table: pl.DataFrame, images: Sequence[str]) -> None:
    """Log the metrics of every point at a step that is its FLOPs per user; TensorBoard shows the figures, too."""
    logger = make_logger(cfg, str(cfg.sweep.name), "summary")
    for entry in points_by_cost(table):
        logger.log_metrics(entry, step=round(entry[STEP]))
    if isinstance(logger, TensorBoardLogger):
        for path in images:
            logger.experiment.add_image(f"figures/{Path(path).stem}", imread(path), dataformats="HWC")
    finish(logger)


def numeric(text: str | None) -> Any:
    """A cell of a CSV file: a number where it is one, None where it is empty."""
    if not text:
        return None
    try:
        return float(text) if any(sign in text for sign in ".e") or not text.lstrip("-").isdigit() else int(text)
    except ValueError:
        return text
