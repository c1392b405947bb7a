"""A workspace of W&B laid out for a sweep; it needs the extra `workspaces`, and a server to be saved on."""

from __future__ import annotations

from typing import Any

import polars as pl

from promise.analysis.results import METRICS

STEP = "search/flops_per_user"


def sweep_workspace(rows: pl.DataFrame, entity: str, project: str, group: str) -> Any | None:
    """Lay out one panel for each metric over compute, a line for each kind of search.

    Args:
        rows: A table as `results_table` makes it.
        entity: Whose workspace it is: a user or a team.
        project: W&B project.
        group: W&B group: the sweep's name.

    Returns:
        A workspace that is yet to be saved; None where `wandb-workspaces` is not installed.
    """
    try:
        from wandb_workspaces import workspaces
        from wandb_workspaces.reports.v2 import LinePlot
    except ModuleNotFoundError:
        return None
    searches = rows["search"].unique(maintain_order=True).drop_nulls().to_list()
    panels = [
        LinePlot(title=metric, x=STEP, y=[f"search/{search}/{metric}" for search in searches], log_x=True)
        for metric in METRICS
        if metric in rows.columns and rows[metric].count()
    ]
    section = workspaces.Section(name="Accuracy against compute", panels=panels, is_open=True)
    return workspaces.Workspace(entity=entity, project=project, name=f"Sweep {group}", sections=[section])
