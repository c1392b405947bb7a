"""The experiment file that gives the options of a trial to a later command."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from promise.experiments.grid import composed
from promise.experiments.identity import RUN_ONLY, pop
from promise.pipeline.config import without_passwords
from promise.pipeline.files import written_whole

#: Keys that belong to a run and not to what was found.
LEFT_OUT = (*RUN_ONLY, "split", "trainer", "evaluation.users")

#: Groups that an experiment file does not choose.
GROUPS_LEFT_OUT = ("experiment", "trainer", "logger", "launcher", "sweeps", "study")


def test_command(folder: Path, name: str, given: Sequence[str]) -> str:
    """The command that evaluates an experiment file of a study on test targets.

    Args:
        folder: The study's.
        name: The experiment's.
        given: Overrides of the study.
    """
    kept = [word for word in given if word.partition("=")[0] in ("store", "trainer", "logger", "build")]
    words = ["--config-dir", str(folder), f"experiment={name}", *without_passwords(kept), "split=test"]
    return "promise evaluate " + shlex.join(words)


def write_experiment(overrides: Sequence[str], path: Path, comments: Sequence[str]) -> None:
    """Write the options of a trial as an option of the group `experiment`; within a Hydra app.

    The file holds all that differs from the defaults, not the overrides themselves: it stands alone, whatever
    experiment the study was run with.

    Args:
        overrides: Those of the study and the trial.
        path: The file, FOLDER/experiment/NAME.yaml; `--config-dir FOLDER experiment=NAME` finds it.
        comments: Lines on top.
    """
    cfg, chosen = composed(overrides)
    usual = composed([])[1]
    groups = {
        group: option
        for group, option in chosen.items()
        if group in usual and option != usual[group] and not group.startswith(("hydra", *GROUPS_LEFT_OUT))
    }
    before, _ = composed([f"{group}={option}" for group, option in groups.items()])
    values: Any = OmegaConf.to_container(cfg, resolve=False)
    known: Any = OmegaConf.to_container(before, resolve=False)
    for name in LEFT_OUT:
        pop(values, name)
    content: dict[str, Any] = {}
    if groups:
        content["defaults"] = [{f"override /{group}": option} for group, option in groups.items()]
    content |= difference(values, known)
    lines = ["# @package _global_", *(f"# {line}" for line in comments)]
    text = "\n".join(lines) + "\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    with written_whole(path) as part:
        part.write_text(text, "utf-8")


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
