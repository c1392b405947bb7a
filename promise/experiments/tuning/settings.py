"""What a study looks for and how, checked before anything is run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from omegaconf import OmegaConf

from promise.experiments.tuning.search_space import Space
from promise.pipeline.checks import integer, number, one_of
from promise.search.options import is_number

#: Columns of a row that a study can look for, by the direction in which they are better.
BETTER = {
    "maximize": tuple(f"{name}@{k}" for name in ("recall", "ndcg") for k in (5, 10, 20)),
    "minimize": ("flops_per_user", "decoder_tokens_per_user", "prm_paths_per_user", "seconds_per_user"),
}
SAMPLERS = ("tpe", "nsgaii", "random", "grid")
PRUNERS = ("none", "median", "halving")


@dataclass(frozen=True)
class Settings:
    """A study as its config describes it.

    Attributes:
        where: The config's own name (`sweep.study`), for errors.
        name: Name of the study; None = made of what is searched.
        storage: `journal`, or the URL of a database.
        sampler: One of `SAMPLERS`.
        trials: Distinct trials, over all workers and restarts.
        parallel: Trials asked for at once.
        objectives: One or two columns of a row.
        directions: One for each.
        reference: Value of each objective at the worst corner of the hypervolume; None = 0 for an accuracy, the
            dearest trial for a cost.
        space: The dials.
        constraints: Cost -> its ceiling.
        pruner: One of `PRUNERS`.
        subsets: Shares of the users after which a trial may be given up, growing to 1.
    """

    where: str
    name: str | None
    storage: str
    sampler: str
    trials: int
    parallel: int
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    reference: tuple[float | None, ...]
    space: Space
    constraints: dict[str, float]
    pruner: str
    subsets: tuple[float, ...]

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str) -> "Settings":
        """The settings of a config.

        Args:
            given: Its values by name, resolved.
            where: Its own name.

        Raises:
            ValueError: Naming the dial, what was expected and what came.
        """
        given = {name: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for name, v in given.items()}
        names = {field.name for field in fields(cls)} - {"where"}
        if names != given.keys():
            raise ValueError(
                f"{where} must have the dials of conf/study/optuna.yaml (defaults: [/study/optuna@sweep.study]), "
                f"missing: {', '.join(sorted(names - given.keys())) or 'none'}, "
                f"not known: {', '.join(sorted(given.keys() - names)) or 'none'}"
            )
        integer(f"{where}.trials", given["trials"], least=1)
        integer(f"{where}.parallel", given["parallel"], least=1)
        one_of(f"{where}.sampler", given["sampler"], SAMPLERS)
        one_of(f"{where}.pruner", given["pruner"], PRUNERS)
        storage = str(given["storage"])
        if storage != "journal" and "://" not in storage:
            raise ValueError(f"{where}.storage must be journal or the URL of a database, got {storage}")
        objectives, directions = _goals(_several(given["objectives"]), _several(given["directions"]), where)
        if given["pruner"] != "none" and len(objectives) > 1:
            raise ValueError(
                f"{where}.pruner={given['pruner']} needs one objective, got {', '.join(objectives)}: "
                "Optuna cannot prune with two"
            )
        return cls(
            where,
            None if given["name"] is None else _file_name(f"{where}.name", given["name"]),
            storage,
            given["sampler"],
            given["trials"],
            given["parallel"],
            objectives,
            directions,
            _reference(given["reference"], objectives, where),
            Space.of(given["space"] or {}, f"{where}.space"),
            _ceilings(given["constraints"] or {}, where),
            given["pruner"],
            _subsets(given["subsets"], where) if given["pruner"] != "none" else (1.0,),
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What all trials of one study share: a study of another one is another study."""
        return {
            "space": [asdict(dial) for dial in self.space.dials],
            "objectives": list(self.objectives),
            "constraints": self.constraints,
        }

    def values(self, row: Mapping[str, Any]) -> list[float]:
        """The objectives of a row.

        Raises:
            ValueError: If one is missing in it.
        """
        return [measured(row, name) for name in self.objectives]

    def excesses(self, row: Mapping[str, Any]) -> dict[str, float]:
        """How far a row is above each ceiling, as a share of it; at most 0 = within."""
        return {name: measured(row, name) / ceiling - 1 for name, ceiling in self.constraints.items()}


def measured(row: Mapping[str, Any], name: str) -> float:
    """A figure of a row.

    Raises:
        ValueError: If the row has none.
    """
    if name == "seconds_per_user" and row.get("seconds") is not None and row.get("users"):
        return float(row["seconds"]) / int(row["users"])
    value = row.get(name)
    if value is None or not math.isfinite(value):
        width = row.get("search.width")
        beams = f" (search.width={width} returns no longer lists)" if "@" in name and width is not None else ""
        raise ValueError(f"{name} is missing: this trial has none{beams}")
    return float(value)


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _file_name(name: str, value: Any) -> str:
    """A name that can be that of a folder."""
    if not str(value).strip() or set("/\\") & set(str(value)) or str(value).startswith("."):
        raise ValueError(f"{name} must be the name of a folder, got {value}")
    return str(value)


def _goals(objectives: list[Any], directions: list[Any], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Objectives and directions that fit each other."""
    if len(objectives) not in (1, 2) or len(set(objectives)) < len(objectives):
        raise ValueError(f"{where}.objectives must be one or two different columns, got {objectives}")
    if len(directions) != len(objectives):
        raise ValueError(
            f"{where}.directions must name one for each of the {len(objectives)} objectives "
            f"({', '.join(map(str, objectives))}), got {', '.join(map(str, directions))}"
        )
    for objective, direction in zip(objectives, directions, strict=True):
        one_of(f"{where}.objectives", objective, (*BETTER["maximize"], *BETTER["minimize"]))
        one_of(f"{where}.directions", direction, tuple(BETTER))
        if objective not in BETTER[direction]:
            better = next(name for name, columns in BETTER.items() if objective in columns)
            raise ValueError(f"{where}.directions must be {better} for {objective}, got {direction}")
    if len(set(directions)) < len(directions):
        raise ValueError(
            f"{where}.objectives must be an accuracy to maximize and a cost to minimize where there are two, "
            f"got {', '.join(objectives)}"
        )
    return tuple(objectives), tuple(directions)


def _reference(given: Any, objectives: tuple[str, ...], where: str) -> tuple[float | None, ...]:
    """A number or null for each objective."""
    values = [None] * len(objectives) if given is None else _several(given)
    if len(objectives) == 1:
        return (None,)
    if len(values) != len(objectives):
        raise ValueError(f"{where}.reference must have a number or null for each objective, got {values}")
    for value in values:
        if value is not None and not is_number(value):
            raise ValueError(f"{where}.reference must have a number or null for each objective, got {value}")
    return tuple(values)


def _ceilings(given: Mapping[str, Any], where: str) -> dict[str, float]:
    """Cost -> its ceiling."""
    for name, ceiling in given.items():
        one_of(f"{where}.constraints", name, BETTER["minimize"])
        number(f"{where}.constraints.{name}", ceiling, "> 0", lambda value: value > 0)
    return {str(name): float(ceiling) for name, ceiling in given.items()}


def _subsets(given: Any, where: str) -> tuple[float, ...]:
    """Growing shares that end in 1."""
    shares = _several(given)
    for share in shares:
        number(f"{where}.subsets", share, "in (0, 1]", lambda value: 0 < value <= 1)
    if shares != sorted(set(shares)) or shares[-1:] != [1]:
        raise ValueError(f"{where}.subsets must grow and end in 1, got {shares}")
    return tuple(map(float, shares))
