"""The config of a trial, and the experiment file that gives the same dials to a later command."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from promise.pipeline.checks import check, check_judge
from promise.pipeline.config import plain
from promise.pipeline.errors import told
from promise.pipeline.overrides import check_overrides

#: What belongs to a run and not to the dials that it found.
OF_THE_RUN = (
    "store", "build", "split", "predictions", "analysis", "sweep", "logger", "trainer", "dry_run", "retry_failed",
    "evaluation.users",
)  # fmt: skip

#: Groups whose options are no dials.
NO_DIALS = ("experiment", "trainer", "logger", "launcher")

#: What the trials of one study share, and may not change under its name.
SHARED = (
    "generator",
    "reward",
    "training",
    "sasrec",
    "datamodule",
    "checkpoint_selection",
    "evaluation",
    "seed",
    "split",
)


def composed(overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The root config of some overrides and the options chosen, by group; within a Hydra app.

    Raises:
        hydra.errors.HydraException: Hydra cannot compose them.
    """
    cfg = compose("config", overrides=list(overrides), return_hydra_config=True)
    chosen = {str(group): str(option) for group, option in cfg.hydra.runtime.choices.items()}
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    return cfg, chosen


def checked(overrides: Sequence[str], where: str) -> tuple[DictConfig, dict[str, str]]:
    """As `composed`, and checked.

    Args:
        overrides: Overrides of a trial.
        where: Name of the space in its config, for errors.

    Raises:
        ValueError: If Hydra knows no such dial, or a dial is wrong.
    """
    try:
        cfg, chosen = composed(overrides)
    except HydraException as error:
        check_overrides(overrides)
        raise ValueError(f"{where}: {told(error)}") from None
    check(cfg)
    check_judge(cfg)
    return cfg, chosen


def shared(cfg: DictConfig, *more: str) -> dict[str, Any]:
    """What the trials of one study have in common beside the dials, by name: part of the study's identity."""
    values = plain(cfg)
    return {name: values[name] for name in (*SHARED, *more)}


def write_experiment(given: Sequence[str], words: Sequence[str], path: Path, comments: Sequence[str]) -> None:
    """Write the dials of a trial as an option of the group `experiment`.

    The file holds all that differs from the defaults, not the overrides themselves: it stands alone, whatever
    experiment the study was run with.

    Args:
        given: Overrides of the study.
        words: Overrides of the trial.
        path: The file, FOLDER/experiment/NAME.yaml; `--config-dir FOLDER experiment=NAME` finds it.
        comments: Lines on top.
    """
    cfg, chosen = composed([*given, *words])
    _, usual = composed([])
    groups = {
        group: option
        for group, option in chosen.items()
        if group in usual and option != usual[group] and not group.startswith("hydra") and group not in NO_DIALS
    }
    before, _ = composed([f"{group}={option}" for group, option in groups.items()])
    values: dict[str, Any]
    known: dict[str, Any]
    values, known = (OmegaConf.to_container(each, resolve=False) for each in (cfg, before))  # type: ignore[assignment]
    for each in (values, known):
        for name in OF_THE_RUN:
            *parents, last = name.split(".")
            inner = each
            for parent in parents:
                inner = inner[parent]
            inner.pop(last, None)
    content: dict[str, Any] = {}
    if groups:
        content["defaults"] = [{f"override /{group}": option} for group, option in groups.items()]
    content |= difference(values, known)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    lines = ["# @package _global_", *(f"# {line}" for line in comments)]
    draft.write_text("\n".join(lines) + "\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
    draft.replace(path)


def difference(values: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are new or other than the known ones, inner mappings entry by entry.

    >>> difference({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 1}, "d": 3})
    {'a': {'c': 2}}
    """
    found = {}
    for name, value in values.items():
        old = known.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if inner := difference(value, old):
                found[name] = inner
        elif name not in known or json.dumps(value) != json.dumps(old):
            found[name] = value
    return found
