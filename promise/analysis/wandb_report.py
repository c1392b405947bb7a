"""The summary of a sweep as one W&B run: its tables, its curves, its charts, its figures, its artifacts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from promise.analysis.curves import Curve, curves, usable
from promise.analysis.frontier import pareto
from promise.analysis.gallery import compared
from promise.analysis.hrecall_figure import kept_prefixes
from promise.analysis.results import METRICS
from promise.analysis.workspace import STEP, sweep_workspace

MODES = ("offline", "online")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Destination:
    """Where a run goes.

    Attributes:
        project: W&B project.
        group: W&B group: the sweep's name, shared with the runs of its jobs.
        directory: Folder in which W&B makes its own folder `wandb`; it is made if need be.
        mode: `offline` (no login, no network) or `online`.
        config: What the run's config holds beside the number of points.
    """

    project: str
    group: str
    directory: str | Path
    mode: str = "offline"
    config: Mapping[str, Any] = field(default_factory=dict)


def summary_run(
    rows: pl.DataFrame, figure_paths: Sequence[str | Path], to: Destination, metric: str = "recall@10"
) -> Path:
    """Write the summary run of a sweep, beside the runs of its jobs.

    It holds the tables `results` and `front`, every point as `search/KIND/METRIC` over `search/flops_per_user`, W&B's
    own charts (`accuracy_over_candidates`, `accuracy_over_flops`, `points`, `hrecall_per_level`, `drift_per_level`),
    the interactive charts of the report as `charts/NAME` (logarithmic axes, frontier, heat map), and the images.
    Online, with the extra `workspaces`, a workspace is laid out too. A run that is already active is left alone.

    Args:
        rows: A table as `results_table` makes it.
        figure_paths: Figures to attach; only .png files are, as W&B shows no other drawings.
        to: Where the run goes.
        metric: Name of the metric's column that the charts show.

    Returns:
        The folder of the run, which `wandb sync` uploads.

    Raises:
        ValueError: If the mode is unknown, or there is no such metric.
    """
    if to.mode not in MODES:
        raise ValueError(f"logger.mode must be {' or '.join(MODES)}, got {to.mode}")
    done = usable(rows, metric)
    import wandb

    from promise.analysis.charts import charts

    Path(to.directory).mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        project=to.project,
        group=to.group,
        job_type="summary",
        name=f"{to.group} summary",
        dir=str(to.directory),
        mode=to.mode,  # type: ignore[arg-type]
        config={**to.config, "points": len(rows), "finished": len(done), "metric": metric},
        reinit="create_new",
        settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
    )
    try:
        run.define_metric(STEP)
        run.define_metric("search/*", step_metric=STEP)
        for row in _by_cost(done):
            run.log(row)
        logged: dict[str, Any] = {
            "results": wandb.Table([*rows.columns], rows.rows(), allow_mixed_types=True),
            "front": _table(_front(done, metric)),
            **_own_charts(compared(rows), metric),
        }
        logged |= {f"charts/{name}": wandb.Plotly(chart) for name, chart in charts(compared(rows), metric).items()}
        images = [path for path in map(Path, figure_paths) if path.suffix == ".png"]
        logged |= {f"figures/{path.stem}": wandb.Image(str(path)) for path in images}
        run.log(logged)
        for name in METRICS:
            best = done[name].max()
            if best is not None:
                run.summary[f"best/{name}"] = best
        if to.mode == "online":
            _save_workspace(sweep_workspace(done, run.entity, to.project, to.group))
    finally:
        run.finish()
    return Path(run.settings.sync_dir)


def _save_workspace(workspace: Any | None) -> None:
    """Save a workspace, if there is one; a server that refuses it must not cost the sweep its end."""
    if workspace is None:
        return
    try:
        workspace.save()
    except Exception as error:
        log.warning("W&B kept no workspace: %s", error)


def _by_cost(done: pl.DataFrame) -> list[dict[str, float]]:
    """Make the history: one entry per point with known FLOPs, cheapest first."""
    entries = []
    for row in done.filter(pl.col("flops_per_user") > 0).sort("flops_per_user").to_dicts():
        values = {f"search/{row['search']}/{name}": row[name] for name in METRICS if row[name] is not None}
        entries.append({STEP: float(row["flops_per_user"]), **values})
    return entries


def _front(done: pl.DataFrame, metric: str) -> pl.DataFrame:
    """The points that no other one beats at the same or a lower cost, cheapest first."""
    known = done.filter(pl.col("flops_per_user") > 0)
    mask = pareto(known["flops_per_user"].cast(pl.Float64).to_numpy(), known[metric].cast(pl.Float64).to_numpy())
    dials = ("search", "generator", "search.width", "search.candidates", "search.weight")
    names = [name for name in (*dials, metric, f"{metric}_low", f"{metric}_high") if name in known.columns]
    return known.filter(pl.Series(mask, dtype=pl.Boolean)).select(*names, "flops_per_user").sort("flops_per_user")


def _table(rows: pl.DataFrame) -> Any:
    """Rows as W&B shows them."""
    import wandb

    return wandb.Table([*rows.columns], rows.rows(), allow_mixed_types=True)


def _own_charts(rows: pl.DataFrame, metric: str) -> dict[str, Any]:
    """The charts of W&B's own presets that the rows have points for."""
    import wandb

    found: dict[str, Any] = {}
    drawn = curves(rows, metric, "candidates")
    for place, unit in (("candidates", "candidates C (paths)"), ("flops", "FLOPs per user")):
        lines = {curve.name: xy for curve in drawn if not curve.scattered and (xy := _xy(curve, place))[0]}
        found |= _series(f"accuracy_over_{place}", lines, metric, unit)
    points = usable(rows, metric).filter(pl.col("flops_per_user") > 0).select("search", "flops_per_user", metric)
    if len(points):
        found["points"] = wandb.plot.scatter(_table(points), "flops_per_user", metric, title=f"{metric} over FLOPs")
    levels = {kept.name: (list(range(1, len(kept.shares) + 1)), list(kept.shares)) for kept in kept_prefixes(rows)}
    return found | _series("hrecall_per_level", levels, "HRecall", "level") | _drift(rows)


def _drift(rows: pl.DataFrame) -> dict[str, Any]:
    """Accuracy of greedy codes per level, of the first point that measured it."""
    lines = {}
    for name in ("teacher_forced", "free_running"):
        columns = [column for column in rows.columns if column.startswith(f"{name}@")]
        measured = rows.drop_nulls(columns[:1]) if columns else rows.clear()
        if len(measured):
            values = [measured[f"{name}@{level}"][0] for level in range(1, len(columns) + 1)]
            lines[name] = (list(range(1, len(values) + 1)), values)
    return _series("drift_per_level", lines, "accuracy of the greedy code", "level")


def _series(name: str, lines: Mapping[str, tuple[list[Any], list[Any]]], title: str, unit: str) -> dict[str, Any]:
    """A chart of lines, unless there is none."""
    import wandb

    if not lines:
        return {}
    xs, ys = zip(*lines.values(), strict=True)
    return {name: wandb.plot.line_series(xs, ys, keys=list(lines), title=title, xname=unit)}


def _xy(curve: Curve, place: str) -> tuple[list[float], list[float]]:
    """Return the points of a curve that have a place on the axis."""
    points = [(getattr(point, place), point.value) for point in curve.points]
    known = [(x, y) for x, y in points if np.isfinite(x)]
    return [x for x, _ in known], [y for _, y in known]
