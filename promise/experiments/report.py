"""Files that a sweep or a study leaves beside its table: figures, laws, findings, one page, W&B's summary run."""

import hashlib
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

import promise
from promise.analysis.plots.gallery import FIGURES, compared, supported, write_figures
from promise.analysis.report.html import Page, report_html
from promise.analysis.results import results_table
from promise.analysis.wandb_summary import STEP, points_by_cost, summary_run
from promise.experiments.findings import Measured, findings
from promise.experiments.headline import Entry, write_headline
from promise.experiments.point_outcome import PointOutcome
from promise.pipeline.config import plain, without_passwords
from promise.pipeline.files import written_whole
from promise.pipeline.trainer import finish, make_logger

#: Figures that other parts of a sweep write, by their headings in the page.
LAWS = {
    "law_figure": "Scaling laws",
    "level_laws_figure": "Scaling laws of the true prefixes that are kept",
}


def sweep_report(cfg: DictConfig, folder: Path, outcomes: Sequence[PointOutcome]) -> dict[str, Any]:
    """Write everything that a sweep shows, or take over the last report where nothing has changed since.

    Args:
        cfg: The root config.
        folder: Where `results.csv` lies.
        outcomes: Those of the points, equal rows once.

    Returns:
        `paths`, `findings` and further `tables` (title, columns, cells), JSON-able.
    """
    # Imported here: a sweep that ends in a wrong option should end at once.
    from promise.experiments.laws import LAWS_COLUMNS, LAWS_TITLE, laws_of, table_rows, write_laws
    from promise.experiments.sizes import SHOWN, SIZES_TITLE, shown, size_rows, write_sizes

    given = list(HydraConfig.get().overrides.task)
    cache = ReportCache(folder, [plain(cfg.logger), given if cfg.sweep.headline else None])
    if not any(outcome.result and outcome.result.searched for outcome in outcomes) and (last := cache.find()):
        return last
    done = [(each, Measured(each.row, each.result.ranks, each.result.kept)) for each in outcomes if each.result]
    measured = [each for _, each in done]
    tables: list[Any] = []
    paths = {"results": str(folder / "results.csv")}
    found = findings(measured)
    if cfg.sweep.headline and done:
        entries = [
            Entry(each, outcome.point.cfg, outcome.point.chosen["search"], [*given, *outcome.point.overrides])
            for outcome, each in done
        ]
        paths |= write_headline(entries, folder)
    if found:
        title = "Findings (paired bootstrap over users, 95 %; steps in C: 95 % for all of them together)"
        tables.append([title, ["", "difference", "from", "to", ""], [each.cells() for each in found]])
        (folder / "findings.json").write_text(json.dumps([each.as_dict() for each in found], indent=1) + "\n")
        paths["findings"] = str(folder / "findings.json")
    if laws := laws_of(measured):
        paths |= write_laws(laws, folder)
        tables.append([LAWS_TITLE, LAWS_COLUMNS, table_rows(laws)])
    if sizes := size_rows(measured):
        paths |= write_sizes(sizes, folder)
        tables.append([SIZES_TITLE, SHOWN, shown(sizes)])
    said = [each.as_dict() for each in found]
    if measured:
        paths |= write_report(cfg, [outcome.row for outcome in outcomes], folder, said, paths)
    report = {"paths": paths, "findings": said, "tables": tables}
    cache.keep(report)
    return report


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
        paths: Files that the sweep has written so far, by name: its laws are taken into the page.
        lead: The page's opening sentence; None = the first finding's.
        command: The command as typed; None = `promise sweep` with the overrides of this job.

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
        figures={FIGURES[name][0]: path for name, path in zip(supported(compared(table)), drawings, strict=True)}
        | {title: Path(before[f"{name}_svg"]) for name, title in LAWS.items() if f"{name}_svg" in before},
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


def log_points(cfg: DictConfig, table: pl.DataFrame, images: Sequence[str]) -> None:
    """Log the metrics of every point at a step that is its FLOPs per user; TensorBoard shows the figures, too."""
    logger = make_logger(cfg, str(cfg.sweep.name), "summary")
    for entry in points_by_cost(table):
        logger.log_metrics(entry, step=round(entry[STEP]))
    if isinstance(logger, TensorBoardLogger):
        for path in images:
            logger.experiment.add_image(f"figures/{Path(path).stem}", imread(path), dataformats="HWC")
    finish(logger)


class ReportCache:
    """Cache of the last report.

    Args:
        folder: Where `results.csv` lies.
        settings: What a report is made of beside that table and our own code; JSON-able.
    """

    def __init__(self, folder: Path, settings: Any) -> None:
        self.path = folder / "report.json"
        digest = hashlib.sha256((folder / "results.csv").read_bytes() + json.dumps(settings, sort_keys=True).encode())
        package = Path(promise.__file__).parent
        for path in sorted(package.rglob("*.py")):
            digest.update(path.read_bytes())
        self.fingerprint = digest.hexdigest()[:16]

    def find(self) -> dict[str, Any] | None:
        """The last report, if it was made of the same and all the files that it names are there."""
        try:
            kept = json.loads(self.path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        known = kept.get("made_of") == self.fingerprint and all(Path(each).exists() for each in kept["paths"].values())
        return kept if known else None

    def keep(self, report: dict[str, Any]) -> None:
        """Keep a report; the file appears whole."""
        with written_whole(self.path) as part:
            part.write_text(json.dumps({"made_of": self.fingerprint, **report}, indent=1) + "\n", encoding="utf-8")
