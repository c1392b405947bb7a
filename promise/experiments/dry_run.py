"""`dry_run=true`: the points of a sweep, which rows are there, and which trainings are missing."""

import shlex
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig

from promise.experiments.grid import SweepPoint
from promise.experiments.pipelines import Pipelines
from promise.experiments.point_outcome import Failure
from promise.experiments.runner import refusing
from promise.pipeline.config import without_passwords
from promise.pipeline.errors import own_words
from promise.pipeline.points import Point
from promise.pipeline.store import NotBuilt
from promise.pipeline.verb import show


def dry_run(points: Sequence[SweepPoint]) -> dict[str, Any]:
    """Show and return the state of some points; nothing is built or trained; within a Hydra app."""
    pipelines = Pipelines()
    trainings: dict[str, str] = {}
    states = {"to run": "to_run", "there": "there", "failed earlier": "failed_earlier"}
    rows: list[dict[str, Any]] = []
    for point in points:
        state, missing, error = "to run", None, Failure(point).error
        if error is not None:
            state = "failed earlier"
        else:
            try:
                found = Point(pipelines.of(refusing(point.cfg)), point.cfg.search, point.chosen).find()
                state = "there" if found else "to run"
            except NotBuilt as refusal:
                missing = refusal.key
                if refusal.training is not None:
                    size = sum(
                        p.numel()
                        for network in refusal.training.networks().values()
                        if network
                        for p in network.parameters()
                    )
                    trainings[missing] = f"training {refusal.training.name}: {size:,} parameters"
            except ValueError as wrong:
                state, error = "would fail", own_words(wrong)
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
