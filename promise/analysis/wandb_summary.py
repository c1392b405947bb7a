"""The summary of a sweep as one W&B run: its tables, its points over compute, its curves, its figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from promise.analysis.plots.curves import curves, usable
from promise.analysis.plots.gallery import compared
from promise.analysis.plots.levels import kept_prefixes
from promise.analysis.results import METRIC, METRICS

STEP = "search/flops"
"""FLOPs per user, over which W&B draws the metrics of the points."""


def summary_run(
    rows: pl.DataFrame,
    figures: Sequence[str | Path],
    project: str,
    group: str,
    directory: str | Path,
    mode: str = "offline",
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write the summary run of a sweep, beside the runs of its jobs.

    It holds the table `results`, every point as `search/KIND/METRIC` over `search/flops`, W&B's own
    charts (`accuracy_over_candidates`, `accuracy_over_flops`, `hrecall_per_level`), and the
    figures as images. A run that is already active is left alone.

    Args:
        rows: A table as `results_table` makes it.
        figures: Figures to attach; only .png files are, as W&B shows no other drawings.
        project: W&B project.
        group: W&B group: the sweep's name, shared with the runs of its jobs.
        directory: Folder in which W&B makes its own folder `wandb`; it is made if need be.
        mode: `offline` (no login, no network) or `online`.
        config: What the run's config holds beside the number of points.

    Returns:
        The folder of the run, which `wandb sync` uploads.
    """
    done = usable(rows, METRIC)
    import wandb

    Path(directory).mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        project=project,
        group=group,
        job_type="summary",
        name=f"{group} summary",
        dir=str(directory),
        mode=mode,  # type: ignore[arg-type]
        config={**(config or {}), "points": len(rows), "finished": len(done), "metric": METRIC},
        reinit="create_new",
        settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
    )
    try:
        run.define_metric(STEP)
        run.define_metric("search/*", step_metric=STEP)
        for entry in points_by_cost(done):
            run.log(entry)
        drawn = (path for path in map(Path, figures) if path.suffix == ".png")
        images = {f"figures/{path.stem}": wandb.Image(str(path)) for path in drawn}
        table = wandb.Table([*rows.columns], rows.rows(), allow_mixed_types=True)
        run.log({"results": table, **_charts(compared(rows)), **images})
        for name in METRICS:
            if (best := done[name].max()) is not None:
                run.summary[f"best/{name}"] = best
    finally:
        run.finish()
    return Path(run.settings.sync_dir)


def points_by_cost(rows: pl.DataFrame) -> list[dict[str, float]]:
    """Entries of a log, one for every point with known FLOPs, the cheapest first: `STEP`, and its metrics by search."""
    entries = []
    for row in rows.filter(pl.col("flops_per_user") > 0).sort("flops_per_user").to_dicts():
        values = {f"search/{row['search']}/{name}": row[name] for name in METRICS if row[name] is not None}
        entries.append({STEP: float(row["flops_per_user"]), **values})
    return entries


def _charts(rows: pl.DataFrame) -> dict[str, Any]:
    """The charts of W&B's own presets that the rows have points for."""
    import wandb

    drawn = [curve for curve in curves(rows, METRIC, "candidates") if not curve.scattered]
    lines: dict[str, tuple[dict[str, Any], str, str]] = {}
    for place, unit in (("candidates", "candidates C (paths)"), ("flops", "FLOPs per user")):
        pairs = {curve.name: np.stack([curve.along(place), curve.along("value")]) for curve in drawn}
        pairs = {name: xy[:, np.isfinite(xy[0])].tolist() for name, xy in pairs.items() if np.isfinite(xy[0]).any()}
        lines[f"accuracy_over_{place}"] = pairs, METRIC, unit
    kept = {name: shares for name, (_, shares) in kept_prefixes(rows).items()}
    per_level = {name: (list(range(1, len(shares) + 1)), list(shares)) for name, shares in kept.items()}
    lines["hrecall_per_level"] = per_level, "HRecall", "level"
    found = {}
    for name, (pairs, title, unit) in lines.items():
        if pairs:
            xs, ys = zip(*pairs.values(), strict=True)
            found[name] = wandb.plot.line_series(xs, ys, keys=list(pairs), title=title, xname=unit)
    return found
