"""The points of a sweep: every combination of its grids as overrides, composed and checked before any is run."""

import itertools
import json
import re
from dataclasses import dataclass
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from promise import configs
from promise.pipeline.checks import check, check_judge
from promise.pipeline.errors import told
from promise.pipeline.overrides import check_overrides

#: Overrides whose values stand in columns of their own.
TOLD = re.compile(
    r"(data|generator|reward|training|search|search\..*|seed|split|evaluation\.(users|remove_seen|allow|deny)|cooccurrence\.scale)="
)


@dataclass(frozen=True)
class SweepPoint:
    """One point, not yet run.

    Attributes:
        words: Its own overrides, beside those of the whole sweep.
        cfg: Its root config, checked.
        chosen: Names of the options chosen, by group.
    """

    words: list[str]
    cfg: DictConfig
    chosen: dict[str, str]

    @property
    def name(self) -> str:
        """Its overrides, as a line of the log says them."""
        return " ".join(self.words)

    @property
    def further(self) -> str | None:
        """Those of its overrides that no column of a row tells; None where all are told."""
        return " ".join(word for word in self.words if not TOLD.match(word)) or None


def compose_points(cfg: DictConfig) -> list[SweepPoint]:
    """Every point of a sweep, equal overrides once; within a Hydra app.

    Args:
        cfg: The root config; `sweep.grids` describes the points.

    Raises:
        ValueError: If no sweep was named, its grids are empty, or a point's dial does not exist or is wrong.
    """
    if not cfg.sweep.grids:
        names = ", ".join(configs.groups().get("sweeps", []))
        if cfg.sweep.name is not None:
            raise ValueError("sweep.grids must hold at least one point, got none")
        raise ValueError(f"promise sweep needs +sweeps=NAME, one of: {names}")
    if cfg.sweep.name is None:
        raise ValueError("sweep.name must be given: it names the folder of the results")
    return [composed_point(words) for words in expand(OmegaConf.to_container(cfg.sweep.grids, resolve=True))]


def composed_point(words: list[str]) -> SweepPoint:
    """The point of some overrides on top of those of this job.

    Raises:
        ValueError: If Hydra knows no such dial or option, or it is wrong.
    """
    given = list(HydraConfig.get().overrides.task)
    try:
        point = compose("config", overrides=[*given, *words], return_hydra_config=True)
    except HydraException as error:
        check_overrides([*given, *words])
        raise ValueError(f"sweep.grids: {told(error)}") from None
    chosen = {str(group): str(option) for group, option in point.hydra.runtime.choices.items()}
    OmegaConf.set_struct(point, False)
    del point["hydra"]
    check(point, multirun=not point.dry_run)
    check_judge(point)
    return SweepPoint(words, point, chosen)


def expand(grids: Any) -> list[list[str]]:
    """Overrides of every point: each grid is the product of its lists.

    >>> expand([{"search": "plain", "search.width": [10, 20]}, {"search": "guided"}])
    [['search=plain', 'search.width=10'], ['search=plain', 'search.width=20'], ['search=guided']]

    Raises:
        ValueError: If a grid is no mapping of dials, or a dial has no value.
    """
    points = []
    for index, grid in enumerate(grids):
        if not isinstance(grid, dict) or not grid:
            raise ValueError(f"sweep.grids[{index}] must map dials to their values, got {grid}")
        axes = [values if isinstance(values, list) else [values] for values in grid.values()]
        for name, values in zip(grid, axes, strict=True):
            if not values:
                raise ValueError(f"sweep.grids[{index}]: {name} must have at least one value, got []")
        for point in itertools.product(*axes):
            words = [f"{name}={spelled(value)}" for name, value in zip(grid, point, strict=True)]
            if words not in points:
                points.append(words)
    return points


def spelled(value: Any) -> str:
    """A value as Hydra's command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)
