"""Files that a sweep or a study leaves beside its table: figures, laws, findings, one page, W&B's summary run."""

import json
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
from promise.data.card import card_lines
from promise.experiments.findings import Measured, findings
from promise.experiments.headline import Entry, write_headline
from promise.experiments.laws import LAWS_COLUMNS, LAWS_TITLE, laws_of, table_rows, write_laws
from promise.experiments.one_user import draw_user
from promise.experiments.point_outcome import PointOutcome
from promise.pipeline.config import plain, without_passwords
from promise.pipeline.files import written_whole
from promise.pipeline.preparation import Preparation
from promise.pipeline.trainer import finish, make_logger
from promise.pipeline.verb import show

#: Figures that other parts of a sweep write, with their headings in the page.
OTHERS = {
    "law_figure": "Scaling laws",
    "level_laws_figure": "Scaling laws of the true prefixes that are kept",
    "one_user": "One user's search",
}


def sweep_report(
    cfg: DictConfig, folder: Path, outcomes: Sequence[PointOutcome]
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Write everything that a sweep shows, and print its tables.

    Returns:
        The files by name, and the findings, JSON-able.
    """
    given = list(HydraConfig.get().overrides.task)
    done = [(each, Measured(each.row, each.result.ranks, each.result.kept)) for each in outcomes if each.result]
    measured = [each for _, each in done]
    paths = {"results": str(folder / "results.csv")}
    if cfg.sweep.headline and done:
        entries = [
            Entry(each, outcome.point.cfg, outcome.point.chosen["search"], [*given, *outcome.point.overrides])
            for outcome, each in done
        ]
        paths |= write_headline(entries, folder)
    found = findings(measured)
    said = [each.as_dict() for each in found]
    if found:
        title = "Findings (paired bootstrap over users, 95 %; steps in C: 95 % for all of them together)"
        show(title, ["", "difference", "from", "to", ""], [each.cells() for each in found])
        (folder / "findings.json").write_text(json.dumps(said, indent=1) + "\n")
        paths["findings"] = str(folder / "findings.json")
    if laws := laws_of(measured):
        paths |= write_laws(laws, folder)
        show(LAWS_TITLE, LAWS_COLUMNS, table_rows(laws))
    if cfg.sweep.trace:
        paths |= draw_user(done, folder)
    if measured:
        paths |= write_report(
            cfg, [outcome.row for outcome in outcomes], folder, said, paths, card=shared_card(outcomes)
        )
    return paths, said


def write_report(
    cfg: DictConfig,
    rows: Sequence[Mapping[str, Any]],
    folder: Path,
    findings: Sequence[Mapping[str, Any]] = (),
    paths: Mapping[str, str] | None = None,
    lead: str | None = None,
    command: str | None = None,
    card: Sequence[tuple[str, str]] = (),
) -> dict[str, str]:
    """Write `figure*.svg`, `figure*.png`, `report.html`; log points and figures as the config's logger can.

    Args:
        cfg: The root config.
        rows: The rows of the table.
        folder: Where the table lies.
        findings: Paired differences as `Finding.as_dict` gives them.
        paths: Files that the sweep has written so far, by name: its laws are taken into the page.
        lead: The page's opening sentence; None = the first finding's.
        command: The command as typed; None = `promise sweep` with the overrides of this job.
        card: What is known of the data, as pairs of a name and words.

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
    page = Page(
        name=str(cfg.sweep.name),
        command=command,
        config=OmegaConf.to_yaml(OmegaConf.create(config)),
        findings=findings,
        lead=lead,
        laws=pl.read_csv(before["laws"], infer_schema_length=None).to_dicts() if "laws" in before else [],
        card=card,
        figures={FIGURES[name][0]: path for name, path in zip(supported(compared(table)), drawings, strict=True)}
        | {title: Path(before[f"{name}_svg"]) for name, title in OTHERS.items() if f"{name}_svg" in before},
    )
    path = folder / "report.html"
    with written_whole(path) as part:
        part.write_text(report_html(table, page), encoding="utf-8")
    written["report"] = str(path)
    images = [path for path in {**written, **before}.values() if path.endswith(".png")]
    if "WandbLogger" in cfg.logger["_target_"]:
        group, where = str(cfg.sweep.name), (cfg.logger.save_dir, cfg.logger.mode)
        written["wandb"] = str(summary_run(table, images, cfg.logger.project, group, *where, config))
    else:
        log_points(cfg, table, images)
    return written


def shared_card(outcomes: Sequence[PointOutcome]) -> list[tuple[str, str]]:
    """The dataset card of the points that have a row, in words; empty where they have different data."""
    done = [each for each in outcomes if each.result]
    if len({each.row["data_fingerprint"] for each in done}) != 1:
        return []
    card = Preparation(done[0].point.cfg).data.manifest["card"]
    return [(name, f"{card[name]:,}") for name in ("users", "items", "events", "texts")] + card_lines(card)


def log_points(cfg: DictConfig, table: pl.DataFrame, images: Sequence[str]) -> None:
    """Log the metrics of every point at a step that is its FLOPs per user; TensorBoard shows the figures, too."""
    logger = make_logger(cfg, str(cfg.sweep.name), "summary")
    for entry in points_by_cost(table):
        logger.log_metrics(entry, step=round(entry[STEP]))
    if isinstance(logger, TensorBoardLogger):
        for path in images:
            logger.experiment.add_image(f"figures/{Path(path).stem}", imread(path), dataformats="HWC")
    finish(logger)
