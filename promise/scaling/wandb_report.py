"""The summary of a sweep as one W&B run: its table, its curves, its figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from promise.scaling.curves import Curve, curves, usable
from promise.scaling.results import METRICS

if TYPE_CHECKING:
    import plotly.graph_objects as go

MODES = ("offline", "online")
STEP = "search/flops_per_user"


def summary_run(
    rows: pl.DataFrame,
    figure_paths: Sequence[str | Path],
    project: str,
    group: str,
    directory: str | Path,
    mode: str = "offline",
    metric: str = "recall@10",
) -> Path:
    """Write the summary run of a sweep, beside the runs of its jobs.

    It holds the table `results`, every point as `search/KIND/METRIC` over `search/flops_per_user`,
    the charts `accuracy_over_candidates` and `accuracy_over_flops` (W&B's own, and with logarithmic
    axes as Plotly figures), and the images. A run that is already active in this process is left alone.

    Args:
        rows: A table as `results_table` makes it.
        figure_paths: Figures to attach; only .png files are, as W&B shows no other drawings.
        project: W&B project.
        group: W&B group: the sweep's name, shared with the runs of its jobs.
        directory: Folder in which W&B makes its own folder `wandb`; it is made if need be.
        mode: `offline` (no login, no network) or `online`.
        metric: Name of the metric's column that the charts show.

    Returns:
        The folder of the run, which `wandb sync` uploads.

    Raises:
        ValueError: If the mode is unknown, or there is no such metric.
    """
    if mode not in MODES:
        raise ValueError(f"logger.mode must be {' or '.join(MODES)}, got {mode}")
    done = usable(rows, metric)
    drawn = curves(rows, metric, "candidates")
    import wandb

    Path(directory).mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        project=project,
        group=group,
        job_type="summary",
        name=f"{group} summary",
        dir=str(directory),
        mode=mode,  # type: ignore[arg-type]
        config={"points": len(rows), "finished": len(done), "metric": metric},
        reinit="create_new",
        settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
    )
    try:
        run.define_metric(STEP)
        run.define_metric("search/*", step_metric=STEP)
        for row in _by_cost(done):
            run.log(row)
        table = wandb.Table([*rows.columns], rows.rows(), allow_mixed_types=True)
        logged: dict[str, Any] = {"results": table}
        for place, unit in (("candidates", "candidates C (paths)"), ("flops", "FLOPs per user")):
            name = f"accuracy_over_{place}"
            lines = {curve.name: xy for curve in drawn if (xy := _xy(curve, place))[0]}
            if lines:
                xs, ys = zip(*lines.values(), strict=True)
                logged[name] = wandb.plot.line_series(xs, ys, keys=list(lines), title=metric, xname=unit)
                logged[f"{name}_log"] = wandb.Plotly(_log_chart(lines, metric, unit))
        images = [path for path in map(Path, figure_paths) if path.suffix == ".png"]
        logged |= {f"figures/{path.stem}": wandb.Image(str(path)) for path in images}
        run.log(logged)
        for name in METRICS:
            best = done[name].max()
            if best is not None:
                run.summary[f"best/{name}"] = best
    finally:
        run.finish()
    return Path(run.settings.sync_dir)


def _by_cost(done: pl.DataFrame) -> list[dict[str, float]]:
    """Make the history: one entry per point with known FLOPs, cheapest first."""
    entries = []
    for row in done.filter(pl.col("flops_per_user") > 0).sort("flops_per_user").to_dicts():
        values = {f"search/{row['search']}/{name}": row[name] for name in METRICS if row[name] is not None}
        entries.append({STEP: float(row["flops_per_user"]), **values})
    return entries


def _xy(curve: Curve, place: str) -> tuple[list[float], list[float]]:
    """Return the points of a curve that have a place on the axis."""
    points = [(getattr(point, place), point.value) for point in curve.points]
    known = [(x, y) for x, y in points if x == x]
    return [x for x, _ in known], [y for _, y in known]


def _log_chart(lines: dict[str, tuple[list[float], list[float]]], metric: str, unit: str) -> go.Figure:
    """Draw the lines over a logarithmic axis."""
    import plotly.graph_objects as go

    chart = go.Figure([go.Scatter(x=x, y=y, name=name, mode="lines+markers") for name, (x, y) in lines.items()])
    chart.update_xaxes(type="log", title=f"{unit}, log scale")
    chart.update_yaxes(title=metric)
    return chart
