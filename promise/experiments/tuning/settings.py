"""Settings of a study: its objectives, sampler, space and ceilings, checked before anything is run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import OmegaConf

from promise.experiments.tuning.space import Space
from promise.search.options import COUNT, POSITIVE, one_of, require

#: Columns of a row that a study can look for, by the direction in which they are better.
BETTER = {
    "maximize": tuple(f"{name}@{k}" for name in ("recall", "ndcg") for k in (5, 10, 20)),
    "minimize": ("flops_per_user", "decoder_tokens_per_user", "prm_paths_per_user", "seconds_per_user"),
}
SAMPLERS = ("tpe", "nsgaii", "random")


@dataclass(frozen=True)
class Settings:
    """A study as its config describes it."""

    where: str  # the config's own name (`sweep.study`), for errors
    name: str | None  # name of the study; None = made of what is searched
    storage: str  # `journal`, or the URL of a database
    sampler: str  # one of `SAMPLERS`
    trials: int  # distinct trials, over all workers and restarts
    parallel: int  # trials asked for at once
    objectives: tuple[str, ...]  # one or two columns of a row
    space: Space  # what is searched
    constraints: dict[str, float]  # cost -> its ceiling

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str) -> "Settings":
        """The settings of a config of the name `where`, values by name resolved; ValueError names a wrong key."""
        values: dict[str, Any] = {
            name: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for name, v in given.items()
        }
        names = {field.name for field in fields(cls)} - {"where"}
        if names != values.keys():
            raise ValueError(
                f"{where} must have the keys of conf/study/optuna.yaml (defaults: [/study/optuna@sweep.study]), "
                f"missing: {', '.join(sorted(names - values.keys())) or 'none'}, "
                f"not known: {', '.join(sorted(values.keys() - names)) or 'none'}"
            )
        for name in ("trials", "parallel"):
            require(f"{where}.{name}", values[name], COUNT)
        require(f"{where}.sampler", values["sampler"], one_of(*SAMPLERS))
        if values["storage"] != "journal" and "://" not in str(values["storage"]):
            raise ValueError(f"{where}.storage must be journal or the URL of a database, got {values['storage']}")
        asked = values["objectives"]
        values["objectives"] = tuple(asked) if isinstance(asked, list) else (asked,)
        if (name := values["name"]) is not None:
            values["name"] = str(name)
            if not str(name).strip() or set("/\\") & set(str(name)) or str(name).startswith("."):
                raise ValueError(f"{where}.name must be the name of a folder, got {name}")
        for objective in values["objectives"]:
            require(f"{where}.objectives", objective, one_of(*BETTER["maximize"], *BETTER["minimize"]))
        if len(set(map(direction_of, values["objectives"]))) < len(values["objectives"]) or not values["objectives"]:
            raise ValueError(
                f"{where}.objectives must be one column, or an accuracy to maximize and a cost to minimize, "
                f"got {', '.join(values['objectives'])}"
            )
        values["constraints"] = values["constraints"] or {}
        for name, ceiling in values["constraints"].items():
            require(f"{where}.constraints", name, one_of(*BETTER["minimize"]))
            require(f"{where}.constraints.{name}", ceiling, POSITIVE)
        values["space"] = Space(values["space"] or {}, f"{where}.space")
        return cls(where, **values)

    @property
    def directions(self) -> tuple[str, ...]:
        """`maximize` or `minimize` for each objective."""
        return tuple(map(direction_of, self.objectives))

    @property
    def identity(self) -> dict[str, Any]:
        """Everything of the settings that tells one study from another, JSON-able."""
        space = {each.name: [repr(each.distribution), dict(each.when)] for each in self.space.dimensions}
        return {"space": space, "objectives": list(self.objectives), "constraints": self.constraints}

    def values(self, row: Mapping[str, Any]) -> list[float]:
        """The objectives of a row; ValueError if one is missing in it."""
        return [measured(row, name) for name in self.objectives]

    def excesses(self, row: Mapping[str, Any]) -> dict[str, float]:
        """How far a row is above each ceiling, as a share of it; at most 0 = within."""
        return {name: measured(row, name) / ceiling - 1 for name, ceiling in self.constraints.items()}


def direction_of(objective: str) -> str:
    """The direction in which an objective is better."""
    return "maximize" if objective in BETTER["maximize"] else "minimize"


def measured(row: Mapping[str, Any], name: str) -> float:
    """A figure of a row; ValueError if the row has none."""
    if name == "seconds_per_user" and row.get("seconds") is not None and row.get("users"):
        return float(row["seconds"]) / int(row["users"])
    value = row.get(name)
    if value is None or not math.isfinite(value):
        width = row.get("search.width")
        beams = f" (search.width={width} returns no longer lists)" if "@" in name and width is not None else ""
        raise ValueError(f"{name} is missing: this trial has none{beams}")
    return float(value)
