"""`promise sweep +sweeps=NAME`: every point of a sweep, each ranked once; a table, a figure and what they show."""

import itertools
import json
import logging
from pathlib import Path
from typing import Any

import polars as pl
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import Progress

from promise import configs
from promise.pipeline.checks import check, check_judge
from promise.pipeline.config import plain
from promise.pipeline.findings import Measured, findings
from promise.pipeline.headline import Entry, write_headline
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline
from promise.pipeline.verb import app, is_check, own_words, show, sized

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> dict[str, Any]:
    """Run the missing points, then write the table, the figure and the W&B summary."""
    if cfg.sweep.study is not None:
        from promise import tune

        return tune.run(cfg, report)
    # Imported here: a sweep that ends in a wrong dial should end at once.
    from promise.pipeline.laws import LAWS_COLUMNS, LAWS_TITLE, laws_of, table_rows, write_laws
    from promise.scaling.figures import choose_figure, save_figure
    from promise.scaling.results import results_table, write_results

    points = compose_points(cfg)
    first = Pipeline(points[0][1])
    first.check_inputs()
    rows: list[dict[str, Any]] = []
    measured: list[Measured] = []
    entries: list[Entry] = []
    given = list(HydraConfig.get().overrides.task)
    built = list(first.built)
    ran = failed = 0
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"sweep {cfg.sweep.name}", total=len(points))
        for words, point_cfg, chosen in points:
            bar.update(task, description=" ".join(words))
            pipeline = Pipeline(point_cfg)
            try:
                result, _ = Point(pipeline, point_cfg.search, chosen).result()
            except Exception as error:
                log.error("point %s failed: %s", " ".join(words), own_words(error), exc_info=not is_check(error))
                failed += 1
                rows.append(
                    {
                        **named(point_cfg, chosen),
                        "status": "failed",
                        "error": f"{type(error).__name__}: {own_words(error)}",
                    }
                )
            else:
                if result.row in (point.row for point in measured):
                    log.info("%s: the same as an earlier point", " ".join(words))
                    bar.advance(task)
                    continue
                ran += result.searched
                measured.append(Measured(result.row, result.ranks))
                entries.append(Entry(measured[-1], point_cfg, chosen["search"], [*given, *words]))
                rows.append({**result.row, "status": "done", "error": None})
                log.info(
                    "%s: recall@10 %s%s",
                    " ".join(words),
                    result.row["recall@10"],
                    "" if result.searched else " (was there)",
                )
            built += [stage for stage in pipeline.built if stage not in built]
            bar.advance(task)
    data = HydraConfig.get().runtime.choices["data"]
    folder = Path(cfg.store) / "sweeps" / str(cfg.sweep.name) / f"{data}-{cfg.split}-{cfg.seed}"
    write_results(rows, folder / "results.csv")
    table = results_table(rows)
    paths = {"results": str(folder / "results.csv")}
    found = findings(measured)
    if measured:
        # A control answers a question in the findings; in the figure it would squeeze what is compared.
        drawn = table.filter((pl.col("status") == "done") & (pl.col("search.control").fill_null("none") == "none"))
        images = save_figure(choose_figure(drawn if len(drawn) else table), folder / "figure")
        paths |= {"figure": str(images[1]), "figure_svg": str(images[0])}
        paths |= report(cfg, rows, [str(image) for image in images])
    if cfg.sweep.headline and entries:
        paths |= write_headline(entries, folder)
    show_rows(rows)
    if found:
        show(
            "Findings (paired bootstrap over users, 95 %; steps in C: 95 % for all of them together)",
            ["", "difference", "from", "to", ""],
            [f.cells() for f in found],
        )
        (folder / "findings.json").write_text(json.dumps([f.as_dict() for f in found], indent=1) + "\n")
        paths["findings"] = str(folder / "findings.json")
    if laws := laws_of(measured):
        paths |= write_laws(laws, folder)
        show(LAWS_TITLE, LAWS_COLUMNS, table_rows(laws))
    return {
        "verb": "sweep",
        "name": cfg.sweep.name,
        "points": len(rows),
        "ran": ran,
        "skipped": len(rows) - ran - failed,
        "failed": failed,
        "trained": built,
        "findings": [f.as_dict() for f in found],
        "paths": paths,
    }


def compose_points(cfg: DictConfig) -> list[tuple[list[str], DictConfig, dict[str, str]]]:
    """Every point's overrides, checked config and chosen options; equal overrides once.

    Raises:
        ValueError: If no sweep was named, or a point's dial is wrong (before any point runs).
    """
    if not cfg.sweep.grids:
        names = ", ".join(configs.groups().get("sweeps", []))
        raise ValueError(f"promise sweep needs +sweeps=NAME, one of: {names}")
    if cfg.sweep.name is None:
        raise ValueError("sweep.name must be given: it names the folder of the results")
    given = list(HydraConfig.get().overrides.task)
    points = []
    for words in expand(OmegaConf.to_container(cfg.sweep.grids, resolve=True)):
        point = compose("config", overrides=[*given, *words], return_hydra_config=True)
        chosen = {str(group): str(option) for group, option in point.hydra.runtime.choices.items()}
        OmegaConf.set_struct(point, False)
        del point["hydra"]
        check(point)
        check_judge(point)
        points.append((words, point, chosen))
    return points


def expand(grids: Any) -> list[list[str]]:
    """Overrides of every point: each grid is the product of its lists.

    >>> expand([{"search": "plain", "search.width": [10, 20]}, {"search": "guided"}])
    [['search=plain', 'search.width=10'], ['search=plain', 'search.width=20'], ['search=guided']]
    """
    points = []
    for grid in grids:
        axes = [values if isinstance(values, list) else [values] for values in grid.values()]
        for values in itertools.product(*axes):
            words = [f"{name}={spelled(value)}" for name, value in zip(grid, values, strict=True)]
            if words not in points:
                points.append(words)
    return points


def spelled(value: Any) -> str:
    """A value as Hydra's command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def named(cfg: DictConfig, chosen: dict[str, str]) -> dict[str, Any]:
    """What a failed point's row can say."""
    dials = {f"search.{name}": value for name, value in plain(cfg.search).items()}
    known = ("search.width", "search.expansion", "search.candidates", "search.weight")
    groups = {group: chosen[group] for group in ("data", "search", "generator", "reward", "training")}
    run = {"split": cfg.split, "seed": cfg.seed, "seen": cfg.evaluation.seen}
    return groups | run | {name: dials[name] for name in known if name in dials}


def report(cfg: DictConfig, rows: list[dict[str, Any]], images: list[str]) -> dict[str, str]:
    """The W&B summary run of the sweep, when W&B is the logger."""
    if "WandbLogger" not in cfg.logger["_target_"]:
        return {}
    from promise.scaling.results import results_table
    from promise.scaling.wandb_report import summary_run

    run = summary_run(
        results_table(rows),
        images,
        cfg.logger.project,
        str(cfg.sweep.name),
        cfg.logger.save_dir,
        cfg.logger.mode,
    )
    return {"wandb": str(run)}


def show_rows(rows: list[dict[str, Any]]) -> None:
    """The sweep as a table."""
    columns = [
        "search",
        "generator",
        "W",
        "C",
        "λ",
        "recall@10",
        "from",
        "to",
        "ndcg@10",
        "per user",
        "seconds",
    ]
    names = [
        "search.width",
        "search.candidates",
        "search.weight",
        "recall@10",
        "recall@10_low",
        "recall@10_high",
        "ndcg@10",
    ]
    cells = [
        [
            row["search"] + (" (shuffled)" if row.get("search.control") == "shuffled" else ""),
            row.get("generator"),
            *(row.get(name) for name in names),
            sized(row.get("flops_per_user"), "FLOP") if row.get("flops_per_user") else None,
            row.get("seconds"),
        ]
        for row in rows
    ]
    show("Points", columns, cells)


main = app(run)
