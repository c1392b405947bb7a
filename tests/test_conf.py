"""Every option of a group composes, fits the signature of its target, and says what each of its keys means."""

import inspect
import pkgutil
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from promise import configs
from promise.pipeline.overrides import PLUGINS, installed

CONF = configs.root() / "conf"
CONFIG = CONF / "config.yaml"
GROUPS = configs.groups()
OPTIONS = [(group, option) for group, options in GROUPS.items() for option in options]
FREE = ("experiment", "sweeps", "hydra")  # groups that need only compose


def name(option: Any) -> str:
    return "=".join(option)


# What the root adds to a group (`ids.path`) is the pipeline's option, not the target's.
ROOT = yaml.safe_load(CONFIG.read_text("utf-8"))
ADDED = {f"{group}.{key}" for group in GROUPS.keys() & ROOT.keys() for key in ROOT[group]}


def targets(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping with a `_target_`."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


def parameters_of(target: str, own: bool) -> dict[str, inspect.Parameter]:
    """Parameters of a target; where a class of ours passes `**keywords` on, those of the classes above it too."""
    called = pkgutil.resolve_name(target)
    found = dict(inspect.signature(called).parameters)
    for above in called.__mro__[1:-1] if own and inspect.isclass(called) else ():
        passed_on = [name for name, each in found.items() if each.kind is each.VAR_KEYWORD]
        if not passed_on:
            break
        del found[passed_on[0]]
        found = {**inspect.signature(above).parameters, **found}
    return found


def faults(node: dict[str, Any]) -> list[str]:
    """Errors in the keys beside one `_target_`."""
    target = node["_target_"]
    own = target.startswith("promise.")
    try:
        parameters = parameters_of(target, own)
    except ModuleNotFoundError:
        if own:
            raise
        return []  # an optional library that is not installed
    keys = {key for key in node if not key.startswith("_")}
    found = []
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        found += [f"{target} has no parameter {key!r}" for key in sorted(keys - parameters.keys())]
    if own:
        config = {key for key, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD}
        found += [f"{target} needs {key!r} in its config" for key in sorted(config - keys)]
    return found


def composed(overrides: list[str]) -> Any:
    config: Any = OmegaConf.to_container(configs.compose(overrides), resolve=False)
    for group, _, key in (added.partition(".") for added in ADDED):
        del config[group][key]
    return config


def override(group: str, option: str) -> str:
    known = group in configs.defaults(CONFIG) or group.startswith("hydra/")  # Hydra's own default
    return f"{'' if known else '+'}{group}={option}"


def test_the_default_config() -> None:
    assert [fault for node in targets(composed([])) for fault in faults(node)] == []


def rounds() -> list[list[str]]:
    """Overrides that hold every option once: one of each group at a time, those that set keys of others alone."""
    alone, together = [], {}
    for group, option in OPTIONS:
        if group != "launcher" or option not in PLUGINS or installed(PLUGINS[option]):
            if group.split("/")[0] in FREE:
                alone.append([override(group, option)])
            else:
                together.setdefault(group, []).append(override(group, option))
    return [*alone, *([word for word in words if word] for words in zip_longest(*together.values()))]


@pytest.mark.parametrize("words", rounds(), ids=" ".join)
def test_every_option_composes_and_fits_its_target(words: list[str]) -> None:
    assert [fault for node in targets(composed(words)) for fault in faults(node)] == []


def own_files() -> list[tuple[str, str]]:
    """Options that neither build on another one (presets) nor only configure somebody else's class."""
    found = []
    for group, option in OPTIONS:
        content = yaml.safe_load(configs.option_path(group, option).read_text("utf-8")) or {}
        names = [node["_target_"] for node in targets(content)]
        foreign = bool(names) and not any(name.startswith("promise.") for name in names)
        if group.split("/")[0] not in FREE and "defaults" not in content and not foreign:
            found.append((group, option))
    return found


@pytest.mark.parametrize("option", own_files(), ids=name)
def test_own_targets_are_complete_and_every_key_says_what_it_means(option: tuple[str, str]) -> None:
    path = configs.option_path(*option)
    content = yaml.safe_load(path.read_text("utf-8"))
    own = [node for node in targets(content) if node["_target_"].startswith("promise.")]
    assert [fault for node in own for fault in faults(node)] == []
    assert uncommented(path) == []


def uncommented(path: Path) -> list[str]:
    """Lines that give a value, no reference to another one, and do not say what it means."""
    lines = path.read_text("utf-8").partition("\nhydra:")[0].splitlines()
    return [line for line in lines if re.match(r" *[a-z]\w*: *[^ #$]", line) and " # " not in line]


@pytest.mark.parametrize("sweep", GROUPS.get("sweeps", []))
def test_every_grid_of_a_sweep_composes(sweep: str) -> None:
    """The first value of every key, and the other options of a group whose keys stand beside it."""
    grids: Any = OmegaConf.to_container(configs.compose([override("sweeps", sweep)]).sweep.grids, resolve=True)
    tried: set[tuple[str, ...]] = set()
    for grid in grids:
        values = {key: value if isinstance(value, list) else [value] for key, value in grid.items()}
        first = {key: value[0] for key, value in values.items()}
        groups = values.keys() & GROUPS.keys()
        assert all(option is None or option in GROUPS[key] for key in groups for option in values[key])
        beside = [key for key in groups if any(name.startswith(f"{key}.") for name in values)]
        others = [first | {key: option} for key in beside for option in values[key][1:]]
        tried |= {tuple(f"{key}={value}" for key, value in point.items()) for point in (first, *others)}
    for point in tried:
        config = composed(list(point))
        assert [fault for node in targets(config) for fault in faults(node)] == []


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_key_of_a_root_says_what_it_means(path: Path) -> None:
    assert uncommented(path) == []


def test_the_rules_see_a_fault() -> None:
    assert faults({"_target_": "promise.search.options.Level", "width": 1, "candidates": 1, "line": 1}) == [
        "promise.search.options.Level has no parameter 'line'",
        "promise.search.options.Level needs 'weight' in its config",
    ]
    schedule = ("learning_rate", "weight_decay", "warmup_steps", "epochs", "patience", "ema_decay")
    for task in ("generator.GeneratorTask", "joint.JointTask", "reward.RewardTask", "sasrec.SASRecTask"):
        task = f"promise.tasks.{task}"
        found = faults({"_target_": task, "average": 1})
        assert {f"{task} has no parameter 'average'", *(f"{task} needs {key!r} in its config" for key in schedule)} <= {
            *found
        }
    assert faults({"_target_": "pathlib.Path", "anything": 1}) == []
    assert faults({"_target_": "not_installed.Thing", "anything": 1}) == []
    assert [node["_target_"] for node in targets({"a": [{"_target_": "x", "b": {"_target_": "y"}}]})] == ["x", "y"]
    with pytest.raises(AttributeError):
        faults({"_target_": "promise.nothing.Thing"})
