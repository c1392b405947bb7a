"""`promise sweep +sweeps=NAME`: every point of a sweep, each ranked once; a table, figures and what they show."""

import json
import logging
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import promise
from promise.analysis.units import flops_text
from promise.experiments.dry_run import dry_run
from promise.experiments.findings import Measured, findings
from promise.experiments.grid import compose_points
from promise.experiments.headline import Entry, write_headline
from promise.experiments.kept_report import find_report, keep_report, made_of
from promise.experiments.launching import in_this_process
from promise.experiments.rounds import here, launched
from promise.pipeline.config import plain
from promise.pipeline.points import seen_of
from promise.pipeline.stages import Pipeline
from promise.pipeline.verb import app, show

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> dict[str, Any]:
    """Run the missing points, then write the table, the figures, the report and the W&B summary."""
    from promise.analysis.results import write_results

    if cfg.sweep.study is not None:
        if cfg.dry_run:
            raise ValueError("dry_run=true shows the points of sweep.grids; a study chooses its points as it goes")
        from promise import tune

        return tune.run(cfg)

    points = compose_points(cfg)
    if cfg.dry_run:
        return dry_run(points)
    first = Pipeline(points[0].cfg)
    first.check_inputs()
    data = HydraConfig.get().runtime.choices["data"]
    folder = Path(cfg.store) / "sweeps" / str(cfg.sweep.name) / f"{data}-{cfg.split}-{cfg.seed}"
    keep_aside(folder / "results.csv")
    done = here(points, str(cfg.sweep.name), first.built) if in_this_process() else launched(points, first.built)
    rows: list[dict[str, Any]] = []
    measured: list[Measured] = []
    entries: list[Entry] = []
    given = list(HydraConfig.get().overrides.task)
    ran = failed = 0
    for point, tried in done.tried:
        if tried.result is None:
            failed += 1
            rows.append(
                {**named(point.cfg, point.chosen), "further": point.further, "status": "failed", "error": tried.error}
            )
        elif tried.result.row in (known.row for known in measured):
            log.info("%s: the same as an earlier point", point.name)
        else:
            ran += tried.result.searched
            measured.append(Measured(tried.result.row, tried.result.ranks, tried.result.kept))
            entries.append(Entry(measured[-1], point.cfg, point.chosen["search"], [*given, *point.words]))
            rows.append({**tried.result.row, "further": point.further, "status": "done", "error": None})
    write_results(rows, folder / "results.csv")
    known = made_of(folder / "results.csv", [plain(cfg.logger), given if cfg.sweep.headline else None])
    written = None if ran else find_report(folder / "report.json", known)
    if written is None:
        written = write_up(cfg, folder, rows, measured, entries)
        keep_report(folder / "report.json", known, written)
    show_rows(rows)
    for title, columns, cells in written["tables"]:
        show(title, columns, cells)
    return {
        "verb": "sweep",
        "name": cfg.sweep.name,
        "points": len(rows),
        "ran": ran,
        "skipped": len(rows) - ran - failed,
        "failed": failed,
        "trained": done.built,
        "findings": written["findings"],
        "paths": written["paths"],
    }


def write_up(
    cfg: DictConfig,
    folder: Path,
    rows: list[dict[str, Any]],
    measured: list[Measured],
    entries: list[Entry],
) -> dict[str, Any]:
    """Draw and write what a sweep shows.

    Args:
        cfg: The root config.
        folder: Where the results lie.
        rows: Rows of all points, failed ones too.
        measured: Those that were measured, with the ranks of their users.
        entries: The same with their configs, for the headline.

    Returns:
        `paths`, `findings` and further `tables` (title, columns, cells), JSON-able.
    """
    # Imported here: a sweep that ends in a wrong dial should end at once.
    from promise.experiments.laws import LAWS_COLUMNS, LAWS_TITLE, laws_of, table_rows, write_laws
    from promise.experiments.report import write_report
    from promise.experiments.sizes import SHOWN, SIZES_TITLE, shown, size_rows, write_sizes

    tables: list[Any] = []
    paths = {"results": str(folder / "results.csv")}
    found = findings(measured)
    if cfg.sweep.headline and entries:
        paths |= write_headline(entries, folder)
    if found:
        title = "Findings (paired bootstrap over users, 95 %; steps in C: 95 % for all of them together)"
        tables.append([title, ["", "difference", "from", "to", ""], [f.cells() for f in found]])
        (folder / "findings.json").write_text(json.dumps([f.as_dict() for f in found], indent=1) + "\n")
        paths["findings"] = str(folder / "findings.json")
    if laws := laws_of(measured):
        paths |= write_laws(laws, folder)
        tables.append([LAWS_TITLE, LAWS_COLUMNS, table_rows(laws)])
    if sizes := size_rows(measured):
        paths |= write_sizes(sizes, folder)
        tables.append([SIZES_TITLE, SHOWN, shown(sizes)])
    if measured:
        paths |= write_report(cfg, rows, folder, [f.as_dict() for f in found], paths)
    return {"paths": paths, "findings": [f.as_dict() for f in found], "tables": tables}


def keep_aside(path: Path) -> None:
    """Rename a table of results that another version wrote, so that nothing of it is lost or mixed in."""
    from promise.analysis.results import read_results

    if not path.exists():
        return
    try:
        table = read_results(path)
        versions = set(table["promise"].drop_nulls()) if "promise" in table.columns else {"of unknown version"}
    except ValueError:
        versions = {"of unknown version"}
    if versions - {promise.__version__}:
        said = ", ".join(sorted(versions))
        kept = path.with_name(f"results-{said.replace(', ', '-').replace(' ', '-')}.csv")
        path.replace(kept)
        log.warning("%s was written by promise %s: it is kept as %s and not merged", path, said, kept.name)


def named(cfg: DictConfig, chosen: dict[str, str]) -> dict[str, Any]:
    """What a failed point's row can say."""
    dials = {f"search.{name}": value for name, value in plain(cfg.search).items()}
    known = ("search.width", "search.expansion", "search.candidates", "search.weight")
    groups = {group: chosen[group] for group in ("data", "search", "generator", "reward", "training")}
    run = {"split": cfg.split, "seed": cfg.seed, "seen": seen_of(cfg)}
    return groups | run | {name: dials[name] for name in known if name in dials}


def show_rows(rows: list[dict[str, Any]]) -> None:
    """The sweep as a table."""
    varied = {
        name: name.replace("seen", "past items")
        for name in ("seed", "seen", "generator", "reward", "training", "further")
        if name == "generator" or len({row.get(name) for row in rows}) > 1
    }
    figures = {
        "search.width": "W", "search.candidates": "C", "search.weight": "λ", "recall@10": "recall@10",
        "recall@10_low": "from", "recall@10_high": "to", "ndcg@10": "ndcg@10",
    }  # fmt: skip
    cells = [
        [
            row["search"] + (" (shuffled)" if row.get("search.control") == "shuffled" else ""),
            *(row.get(name) for name in (*varied, *figures)),
            flops_text(row.get("flops_per_user")) if row.get("flops_per_user") else None,
            row.get("seconds"),
        ]
        for row in rows
    ]
    columns = ["search", *varied.values(), *figures.values(), "per user", "seconds"]
    show("Points", columns, cells)


main = app(run, switches=("dry_run", "retry_failed"))
