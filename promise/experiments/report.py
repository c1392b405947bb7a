"""Files that a sweep or a study leaves beside its table: figures, laws, findings, one page, W&B's summary run."""

import json
import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.image import imread
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from promise.analysis.plots.drawing import save_figure
from promise.analysis.plots.gallery import FIGURES, compared, supported, write_figures
from promise.analysis.plots.trace import tree_figure
from promise.analysis.report.html import Page, report_html
from promise.analysis.results import results_table
from promise.analysis.wandb_summary import STEP, points_by_cost, summary_run
from promise.data.card import card_lines
from promise.data.datasets import draw_users
from promise.experiments.findings import Measured, findings
from promise.experiments.headline import Entry, write_headline
from promise.experiments.laws import LAWS_COLUMNS, LAWS_TITLE, laws_of, table_rows, write_laws
from promise.experiments.point_outcome import PointOutcome
from promise.pipeline.config import plain, without_passwords
from promise.pipeline.files import written_whole
from promise.pipeline.points import Point
from promise.pipeline.preparation import Preparation
from promise.pipeline.stages import Pipeline
from promise.pipeline.trace import trace_user
from promise.pipeline.trainer import finish, make_logger
from promise.pipeline.verb import config_folder, show
from promise.tasks.drift import LISTED

log = logging.getLogger(__name__)

#: Figures that other parts of a sweep write, with their headings in the page.
OTHERS = {
    "law_figure": "Scaling laws",
    "level_laws_figure": "Scaling laws of the true prefixes that are kept",
    "one_user": "One user's search",
}


def sweep_report(
    cfg: DictConfig, folder: Path, outcomes: Sequence[PointOutcome], rows: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Write everything that a sweep shows, and print its tables; returns the files by name, and findings for JSON.

    Args:
        cfg: The root config.
        folder: Where the files go.
        outcomes: Of every point; what depends on no seed has the row of one for all of them.
        rows: The distinct rows.
    """
    given = list(HydraConfig.get().overrides.task)
    by_seed = {(each.row["hash"], each.point.cfg.seed): each for each in reversed(outcomes) if each.result}
    done = [
        (each, Measured(each.row | {"seed": seed}, each.result.ranks, each.result.kept))
        for (_, seed), each in reversed(by_seed.items())
        if each.result
    ]
    measured = [each for _, each in done]
    paths = {"results": str(folder / "results.csv")}
    if cfg.sweep.headline and done:
        entries = [
            Entry(each, outcome.point.cfg, outcome.point.chosen["search"], [*given, *outcome.point.overrides])
            for outcome, each in done
        ]
        paths |= write_headline(entries, folder)
    found = findings(measured)
    said = [asdict(each) for each in found]
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
        paths |= write_report(cfg, rows, folder, said, paths, card=shared_card(outcomes))
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
        rows: The rows of the table that lies in `folder`.
        folder: Where the files go, which are returned by name.
        findings: As dictionaries.
        paths: Files that the sweep has written so far, by name: its laws are taken into the page.
        lead: The page's opening sentence; None = the first finding's.
        command: The command as typed; None = `promise sweep` with the overrides of this job.
        card: What is known of the data, as pairs of a name and words.
    """
    before = paths or {}
    table = results_table(rows)
    written = write_figures(table, folder)
    drawings = [Path(path) for name, path in written.items() if name.endswith("_svg")]
    config = without_passwords(plain(cfg))
    page = Page(
        name=str(cfg.sweep.name),
        command=command or typed_command(),
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


def typed_command() -> str:
    """The sweep's command, within its Hydra app."""
    return shlex.join(
        ["promise", "sweep", *config_folder(), *without_passwords(list(HydraConfig.get().overrides.task))]
    )


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


def draw_user(done: Sequence[tuple[PointOutcome, Measured]], folder: Path) -> dict[str, str]:
    """Draw the search of the first user whose target guided search returns and a plain beam of its width loses.

    Guided search is the point of most candidates that has such a plain beam beside it, on the same users and networks.
    The files of the drawing are returned by name; there are none where no points or no user fit, which the log says.
    """
    pairs = [
        (outcome, guided, plain)
        for outcome, guided in done
        for _, plain in done
        if (guided.row["search"], plain.row["search"], guided.shuffled) == ("guided", "plain", False)
        and (guided.users, guided.networks, guided.dial("width")) == (plain.users, plain.networks, plain.dial("width"))
    ]
    if not pairs:
        log.warning("sweep.trace=true draws nobody's search: no guided point has a plain one of its width beside it")
        return {}
    outcome, guided, plain = max(pairs, key=lambda pair: np.mean(pair[1].dial("candidates")))
    gained, missed = rescued(guided, plain), rescued(plain, guided)
    if not gained.any():
        log.warning("sweep.trace=true draws nobody's search: the guided one returns no target that plain beams lose")
        return {}
    pipeline = Pipeline(outcome.point.cfg)
    cfg = pipeline.cfg
    user = int(draw_users(pipeline.histories.evaluated(cfg.split), cfg.evaluation.users)[gained.argmax()])
    trace = trace_user(Point(pipeline, cfg.search, outcome.point.chosen), user)
    name = pipeline.interactions.users[user]
    note = (
        f"Picked for illustration, it proves nothing: the first user whose target guided search has among its first "
        f"{LISTED} items, W = {guided.dial('width')}, C = {guided.dial('candidates')}, while the plain beam of that "
        f"width has lost it. There are {gained.sum():,} such users of {len(gained):,}; the reverse holds of "
        f"{missed.sum():,}. Shown are the best items of both searches and, at every level, the likeliest prefix that "
        "guided search cut."
    )
    drawn = save_figure(tree_figure(trace.tree(), f"One user's search: {name}", note), folder / "one_user")
    return dict(zip(("one_user_svg", "one_user"), map(str, drawn), strict=True))


def rescued(one: Measured, other: Measured) -> NDArray[np.bool_]:
    """(n,) users whose target one beam search has among its first items while the other has lost it."""
    assert other.kept is not None  # beams keep prefixes
    return (one.ranks < LISTED) & ~other.kept[:, -1]
