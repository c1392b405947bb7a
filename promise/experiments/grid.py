"""The points of a sweep: every combination of its grids as overrides, composed and checked before any is run."""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from promise import configs
from promise.pipeline.checks import check, check_judge
from promise.pipeline.config import PREPARED
from promise.pipeline.errors import told
from promise.pipeline.overrides import check_overrides

#: Overrides whose values stand in columns of their own.
TOLD = re.compile(
    rf"(data(\.({'|'.join(PREPARED)}))?|generator|reward|training|search|search\..*|seed|split|"
    r"evaluation\.(users|remove_seen|allow|deny)|cooccurrence\.scale)="
)


def untold(overrides: Sequence[str]) -> str | None:
    """Those overrides that no column of a row tells; None where all are told."""
    return " ".join(word for word in overrides if not TOLD.match(word)) or None


@dataclass(frozen=True)
class SweepPoint:
    """One point, not yet run."""

    overrides: list[str]  # its own overrides, beside those of the whole sweep
    cfg: DictConfig  # its root config, checked
    chosen: dict[str, str]  # names of the options chosen, by group

    @property
    def name(self) -> str:
        """Its overrides, as the log and the runs of W&B name it."""
        return " ".join(self.overrides)

    @property
    def further(self) -> str | None:
        """Those of its overrides that no column of a row tells; None where all are told."""
        return untold(self.overrides)


def compose_points(cfg: DictConfig) -> list[SweepPoint]:
    """Every point of a sweep, equal overrides once; within a Hydra app.

    Raises:
        ValueError: If its grids are empty, or an option of a point does not exist or is wrong.
    """
    if not cfg.sweep.grids:
        raise ValueError("sweep.grids must hold at least one point, got none")
    given = list(HydraConfig.get().overrides.task)
    found = []
    for overrides in expand(OmegaConf.to_container(cfg.sweep.grids, resolve=True)):
        point, chosen = compose_checked([*given, *overrides], "sweep.grids", multirun=not cfg.dry_run)
        found.append(SweepPoint(overrides, point, chosen))
    return found


def compose_checked(overrides: Sequence[str], where: str, multirun: bool = False) -> tuple[DictConfig, dict[str, str]]:
    """As `configs.composed`, and checked, within a Hydra app; ValueError names `where` the overrides come from."""
    try:
        cfg, chosen = configs.composed(overrides)
    except HydraException as error:
        check_overrides(overrides)
        raise ValueError(f"{where}: {told(error)}") from None
    check(cfg, multirun)
    check_judge(cfg)
    return cfg, chosen


def expand(grids: Any) -> list[list[str]]:
    """Overrides of every point: each grid is the product of its lists.

    >>> expand([{"search": "plain", "search.width": [10, 20]}, {"search": "guided"}])
    [['search=plain', 'search.width=10'], ['search=plain', 'search.width=20'], ['search=guided']]

    Raises:
        ValueError: If a grid is no mapping of keys, or a key has no value.
    """
    points: list[list[str]] = []
    for index, grid in enumerate(grids):
        if not isinstance(grid, dict) or not grid:
            raise ValueError(f"sweep.grids[{index}] must map keys to their values, got {grid}")
        axes = [values if isinstance(values, list) else [values] for values in grid.values()]
        for name, values in zip(grid, axes, strict=True):
            if not values:
                raise ValueError(f"sweep.grids[{index}]: {name} must have at least one value, got []")
        for point in itertools.product(*axes):
            overrides = [f"{name}={spelled(value)}" for name, value in zip(grid, point, strict=True)]
            if overrides not in points:
                points.append(overrides)
    return points


def spelled(value: Any) -> str:
    """A value as Hydra's command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)
