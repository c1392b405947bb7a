"""The experiment file that gives the options of a trial to a later command."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from promise import configs
from promise.experiments.identity import RUN_ONLY, pop
from promise.pipeline.config import without_passwords
from promise.pipeline.files import written_whole

#: Keys that belong to a run and not to what was found.
LEFT_OUT = (*RUN_ONLY, "split", "trainer", "evaluation.users")

#: Groups that an experiment file does not choose.
GROUPS_LEFT_OUT = ("experiment", "trainer", "logger", "launcher", "sweeps", "study", "hydra")


def test_command(folder: Path, name: str, given: Sequence[str]) -> str:
    """The command that evaluates the experiment file of a study's folder on test targets, given the study's words."""
    kept = [word for word in given if word.partition("=")[0] in ("store", "trainer", "logger", "build")]
    words = ["--config-dir", str(folder), f"experiment={name}", *without_passwords(kept), "split=test"]
    return "promise evaluate " + shlex.join(words)


def write_experiment(overrides: Sequence[str], path: Path, comments: Sequence[str]) -> None:
    """Write the options of a trial as an option of the group `experiment`; within a Hydra app.

    The file holds every option, not the overrides themselves: it stands alone, whatever experiment the study was run
    with.

    Args:
        overrides: Those of the study and the trial.
        path: The file, FOLDER/experiment/NAME.yaml; `--config-dir FOLDER experiment=NAME` finds it.
        comments: Lines on top.
    """
    cfg, chosen = configs.composed(overrides)
    usual = configs.composed([])[1]
    values: Any = OmegaConf.to_container(cfg, resolve=False)
    for name in LEFT_OUT:
        pop(values, name)
    groups = [
        {f"override /{group}": option}
        for group, option in chosen.items()
        if option != usual.get(group, option) and not group.startswith(GROUPS_LEFT_OUT)
    ]
    lines = ["# @package _global_", *(f"# {line}" for line in comments)]
    content = ({"defaults": groups} if groups else {}) | values
    text = "\n".join(lines) + "\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    with written_whole(path) as part:
        part.write_text(text, "utf-8")
