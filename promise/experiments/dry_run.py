"""`dry_run=true`: the points of a sweep, which rows are there, and which trainings are missing."""

import shlex
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig

from promise.experiments.grid import SweepPoint
from promise.experiments.pipelines import Pipelines
from promise.experiments.runner import point_state
from promise.pipeline.config import without_passwords
from promise.pipeline.store import NotBuilt
from promise.pipeline.verb import show


def dry_run(points: Sequence[SweepPoint]) -> dict[str, Any]:
    """Show and return the state of some points; nothing is built or trained; within a Hydra app."""
    pipelines = Pipelines()
    trainings: dict[str, str] = {}
    states = {"to run": "to_run", "there": "there", "failed earlier": "failed_earlier"}
    rows: list[dict[str, Any]] = []
    for point in points:
        state, why = point_state(point, pipelines)
        missing = why.key if isinstance(why, NotBuilt) else None
        if isinstance(why, NotBuilt) and why.training is not None:
            networks = filter(None, why.training.networks().values())
            size = sum(p.numel() for network in networks for p in network.parameters())
            trainings[why.key] = f"training {why.training.name}: {size:,} parameters"
        error = why if isinstance(why, str) else None
        rows.append({"point": point.overrides, "state": state, "missing": missing, "error": error})
    cells = [[" ".join(row["point"]), row["state"], row["missing"] or row["error"]] for row in rows]
    show("Points", ["", "state", "first missing, or error"], cells)
    if trainings:
        show("Trainings", ["missing", ""], list(trainings.items()))
    to_run = [row for row in rows if row["state"] == "to run"]
    print(f"\npoints to run: {len(to_run)} of {len(rows)}; first trainings to do: {len(trainings)}")
    given = [word for word in HydraConfig.get().overrides.task if not word.startswith(("dry_run=", "launcher="))]
    commands = [shlex.join(["promise", "evaluate", *without_passwords(given), *row["point"]]) for row in to_run]
    return {
        "verb": "sweep",
        "dry_run": True,
        "points": len(rows),
        **{name: sum(row["state"] == state for row in rows) for state, name in states.items()},
        "trainings": trainings,
        "plan": rows,
        "commands": commands,
    }
