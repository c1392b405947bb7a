"""`promise sweep +sweeps=NAME`: every point of a sweep, each ranked once; a table, figures and what they show."""

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from promise import configs
from promise.analysis.units import flops_text
from promise.experiments.grid import compose_points
from promise.experiments.identity import data_label, identity
from promise.experiments.runner import dry_run, run_points
from promise.pipeline.config import plain, without_passwords
from promise.pipeline.model_folder import digest
from promise.pipeline.stages import Pipeline
from promise.pipeline.verb import app, choices, show

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> dict[str, Any]:
    """Run the missing points, then write the table, the figures, the report and the W&B summary."""
    check(cfg)
    if cfg.sweep.study is not None:
        if cfg.dry_run:
            raise ValueError("dry_run=true shows the points of sweep.grids; a study chooses its points as it goes")
        if cfg.sweep.trace:
            raise ValueError("sweep.trace=true draws a search among the points of sweep.grids; a study has none")
        from promise.experiments.tuning.run import run_here

        return run_here(cfg)

    points = compose_points(cfg)
    if cfg.dry_run:
        return dry_run(points)
    first = Pipeline(points[0].cfg)
    first.check_inputs()
    folder = results_folder(cfg)
    from promise.analysis.results import write_results
    from promise.experiments.report import sweep_report  # a sweep that ends in a wrong option ends at once

    outcomes, built = run_points(points, str(cfg.sweep.name), first.built)
    seen: set[str] = set()
    distinct = []
    for outcome in outcomes:
        if outcome.result is not None and outcome.row["hash"] in seen:
            log.info("%s: the same as an earlier point", outcome.point.name)
            continue
        seen.add(outcome.row.get("hash", ""))
        distinct.append(outcome)
    rows = [outcome.row for outcome in distinct]
    write_results(rows, folder / "results.csv")
    data = data_label(cfg, choices()["data"])
    print(f"\n{cfg.sweep.name}: {data}, history {cfg.datamodule.history}, results in {folder}")
    show_rows(rows)
    paths, findings = sweep_report(cfg, folder, outcomes, rows)
    ran = sum(outcome.result is not None and outcome.result.searched for outcome in distinct)
    failed = sum(outcome.error is not None for outcome in distinct)
    return {
        "verb": "sweep",
        "name": cfg.sweep.name,
        "points": len(rows),
        "ran": ran,
        "skipped": len(rows) - ran - failed,
        "failed": failed,
        "trained": built,
        "findings": findings,
        "paths": paths,
    }


def check(cfg: DictConfig) -> None:
    """Raise ValueError if no sweep is named, or something is asked for that only one search can give."""
    if cfg.sweep.name is None and cfg.sweep.study is None and not cfg.sweep.grids:
        names = ", ".join(configs.groups()["sweeps"])
        raise ValueError(f"promise sweep needs +sweeps=NAME, one of: {names}; or sweep.grids=[...] and sweep.name")
    if cfg.sweep.name is None:
        raise ValueError("sweep.name must be given: it names the folder of the results")
    for name in ("predictions", "analysis"):
        if cfg[name] is not None:
            raise ValueError(f"{name}={cfg[name]} is for promise evaluate, one search at a time: a sweep gives none")


def results_folder(cfg: DictConfig) -> Path:
    """The folder of a sweep's results, named by everything that they depend on, with `config.yaml` that says it all."""
    sweep = {name: value for name, value in plain(cfg.sweep).items() if name not in ("name", "trace")}
    made_of = {**identity(cfg), "sweep": sweep}
    name = f"{choices()['data']}-{cfg.split}-{cfg.seed}-{digest(made_of)[:8]}"
    folder = Path(cfg.store) / "sweeps" / str(cfg.sweep.name) / name
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(without_passwords(made_of)), folder / "config.yaml")
    return folder


def show_rows(rows: list[dict[str, Any]]) -> None:
    """The sweep as a table."""
    varied = ("data_file", "history", "seed", "seen", "reward", "training", "further")
    told = {name: name for name in varied if len({row.get(name) for row in rows}) > 1} | {
        "generator": "generator", "search.width": "W", "search.candidates": "C", "search.weight": "λ",
        "recall@10": "recall@10", "recall@10_low": "from", "recall@10_high": "to", "ndcg@10": "ndcg@10",
    }  # fmt: skip
    cells = []
    for row in rows:
        search = row["search"] + (" (shuffled)" if row.get("search.control") == "shuffled" else "")
        flops = flops_text(row.get("flops_per_user")) if row.get("flops_per_user") else None
        cells.append([search, *(row.get(name) for name in told), flops, row.get("seconds")])
    show("Points", ["search", *told.values(), "per user", "seconds"], cells)


main = app(run, switches=True)
