"""`dry_run=true`: a sweep's points, what of them is there, what would be trained, and about what that costs."""

import shlex
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig

from promise.analysis.units import flops_text
from promise.experiments.estimates import Untrained, search_minutes, shape, untrained
from promise.experiments.grid import SweepPoint
from promise.experiments.plan import Network, plan, prepared, refusing
from promise.pipeline.errors import own_words
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline
from promise.pipeline.store import NotBuilt
from promise.pipeline.verb import show

UNKNOWN = "no estimate without data and semantic IDs: `promise prepare` with the same overrides makes them"


def dry_run(points: Sequence[SweepPoint]) -> dict[str, Any]:
    """Show and return the plan of some points; nothing is built, trained or written; within a Hydra app."""
    plans = plan(points)
    costs = Costs()
    networks: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for each in plans:
        for network in each.networks:
            if network.key not in networks:
                networks[network.key] = described(network) | costs.training(each.point, network)
        search = costs.search(each.point) if each.state == "to run" else {}
        rows.append({"point": each.point.words, "state": each.state, "error": each.error, **search})
    stages = {(stage.name, stage.key): stage for point in points for stage in prepared(Pipeline(refusing(point.cfg)))}
    artifacts = [described(stage) for stage in stages.values()]
    missing = [network for network in networks.values() if not network["there"]]
    to_run = [row for row in rows if row["state"] == "to run"]
    total: dict[str, Any] = {}
    for unit in ("minutes", "flops"):
        parts = [part.get(unit) for part in to_run]
        total[unit] = None if None in parts else sum(parts)
    show("Artifacts", ["stage", "name", ""], [[a["name"], a["artifact"], state(a)] for a in artifacts])
    if networks:
        columns = ["networks", "name", "", "parameters"]
        show("Networks, each trained once", columns, [network_cells(network) for network in networks.values()])
    cells = [[" ".join(row["point"]), told(row), flops_text(row.get("flops_per_user")), row.get("minutes")]
             for row in rows]  # fmt: skip
    show("Points (per user: at most)", ["", "state", "per user", "minutes"], cells)
    said = (
        UNKNOWN
        if total["minutes"] is None
        else f"searches of about {total['minutes']:.0f} min on this machine, {flops_text(total['flops'])}"
    )
    print(f"\npoints to run: {len(to_run)} of {len(rows)}; networks to train: {len(missing)}; {said}")
    return {
        "verb": "sweep",
        "dry_run": True,
        "points": len(rows),
        "to_run": len(to_run),
        "there": sum(row["state"] == "there" for row in rows),
        "failed_earlier": sum(row["state"] == "failed" for row in rows),
        "to_train": len(missing),
        **total,
        "artifacts": artifacts,
        "networks": list(networks.values()),
        "plan": rows,
        "commands": [command(each.point) for each in plans if each.state == "to run"],
    }


class Costs:
    """Sizes of trainings and estimates of searches; networks of one shape are made once."""

    def __init__(self) -> None:
        self._pipeline: Untrained | None = None
        self._known = ""

    def pipeline(self, point: SweepPoint) -> Untrained:
        """Untrained networks of a point's config; the last ones where the shape is the same."""
        cfg = untrained(point.cfg)
        known = shape(cfg)
        if self._pipeline is None or known != self._known:
            self._pipeline, self._known = Untrained(cfg), known
        self._pipeline.cfg = cfg
        return self._pipeline

    def training(self, point: SweepPoint, network: Network) -> dict[str, Any]:
        """Parameters of a training; None where data or IDs are not there yet."""
        try:
            return {"parameters": self.pipeline(point).parameters(network.name)}
        except NotBuilt:
            return {"parameters": None}

    def search(self, point: SweepPoint) -> dict[str, Any]:
        """FLOPs and minutes of a search; None likewise."""
        pipeline = self.pipeline(point)
        try:
            flops = pipeline.search_flops(Point(pipeline, point.cfg.search, point.chosen))
            users = min(point.cfg.evaluation.users or len(pipeline.histories), len(pipeline.histories))
        except NotBuilt:
            return {"flops": None, "flops_per_user": None, "minutes": None}
        except ValueError as error:
            return {"flops": 0.0, "flops_per_user": None, "minutes": 0.0, "error": own_words(error)}
        return {"flops": flops, "flops_per_user": flops / users or None, "minutes": search_minutes(flops)}


def described(artifact: Network) -> dict[str, Any]:
    """A stage or networks as JSON; a name that can't be known yet is null."""
    known = artifact.there or " " not in artifact.key
    return {"name": artifact.name, "artifact": artifact.key or None if known else None, "there": artifact.there}


def state(artifact: dict[str, Any]) -> str:
    """Whether an artifact is there, in words."""
    return "there" if artifact["there"] else "missing"


def told(row: dict[str, Any]) -> str:
    """The state of a point in words, with its error."""
    if row["error"] is None:
        return str(row["state"])
    return f"{'failed earlier' if row['state'] == 'failed' else 'would fail'}: {row['error']}"


def network_cells(network: dict[str, Any]) -> list[Any]:
    """Networks as a row of a table."""
    state = "there" if network["there"] else "to train"
    return [network["name"], network["artifact"], state, network["parameters"]]


def command(point: SweepPoint) -> str:
    """What evaluates the point alone, for a scheduler or for one torchrun per point."""
    given = [word for word in HydraConfig.get().overrides.task if not word.startswith(("dry_run=", "launcher="))]
    return shlex.join(["promise", "evaluate", *given, *point.words])
