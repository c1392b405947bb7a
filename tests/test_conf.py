"""Every option composes, fits the signature of its target, and says what each of its dials means."""

import inspect
import itertools
import pkgutil
import re
from collections.abc import Iterator
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

needs_config = pytest.mark.skipif(not CONFIG.exists(), reason="no conf/config.yaml")


def name(option: Any) -> str:
    return "=".join(option)


# What the root adds to a group (`ids.path`) is the pipeline's option, not the target's.
ROOT = yaml.safe_load(CONFIG.read_text("utf-8")) if CONFIG.exists() else {}
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


def faults(node: dict[str, Any]) -> list[str]:
    """What is wrong with the keys beside one `_target_`."""
    target = node["_target_"]
    own = target.startswith("promise.")
    try:
        parameters = inspect.signature(pkgutil.resolve_name(target)).parameters
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
    for group, _, dial in (added.partition(".") for added in ADDED):
        del config[group][dial]
    return config


def override(group: str, option: str) -> str:
    known = group in configs.defaults(CONFIG) or group.startswith("hydra/")  # Hydra's own default
    return f"{'' if known else '+'}{group}={option}"


@needs_config
def test_the_default_config() -> None:
    assert [fault for node in targets(composed([])) for fault in faults(node)] == []


@needs_config
@pytest.mark.parametrize("option", OPTIONS, ids=name)
def test_every_option_composes_and_fits_its_target(option: tuple[str, str]) -> None:
    if option[0] == "launcher" and option[1] in PLUGINS and not installed(PLUGINS[option[1]]):
        pytest.skip(f"the library of launcher={option[1]} is not installed")
    config = composed([override(*option)])
    assert [fault for node in targets(config) for fault in faults(node)] == []


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
def test_own_targets_are_complete_and_every_dial_says_what_it_means(option: tuple[str, str]) -> None:
    path = configs.option_path(*option)
    content = yaml.safe_load(path.read_text("utf-8"))
    own = [node for node in targets(content) if node["_target_"].startswith("promise.")]
    assert [fault for node in own for fault in faults(node)] == []
    assert uncommented(path) == []


def uncommented(path: Path) -> list[str]:
    """Lines that give a value, no reference to another one, and do not say what it means."""
    lines = path.read_text("utf-8").partition("\nhydra:")[0].splitlines()
    return [line for line in lines if re.match(r" *[a-z]\w*: *[^ #$]", line) and " # " not in line]


@needs_config
@pytest.mark.parametrize("sweep", GROUPS.get("sweeps", []))
def test_every_grid_of_a_sweep_composes(sweep: str) -> None:
    """With every option of its groups, and the first value of its dials."""
    grids: Any = OmegaConf.to_container(configs.compose([override("sweeps", sweep)]).sweep.grids, resolve=True)
    for grid in grids:
        values = {key: value if isinstance(value, list) else [value] for key, value in grid.items()}
        tried = [values[key] if key in GROUPS else values[key][:1] for key in values]
        for point in itertools.product(*tried):
            config = composed([f"{key}={value}" for key, value in zip(values, point, strict=True)])
            assert [fault for node in targets(config) for fault in faults(node)] == []


@needs_config
def test_every_dial_of_the_root_says_what_it_means() -> None:
    assert uncommented(CONFIG) == []


def test_the_rules_see_a_fault() -> None:
    assert faults({"_target_": "promise.search.dials.Level", "width": 1, "candidates": 1, "line": 1}) == [
        "promise.search.dials.Level has no parameter 'line'",
        "promise.search.dials.Level needs 'weight' in its config",
    ]
    assert faults({"_target_": "pathlib.Path", "anything": 1}) == []
    assert faults({"_target_": "not_installed.Thing", "anything": 1}) == []
    assert [node["_target_"] for node in targets({"a": [{"_target_": "x", "b": {"_target_": "y"}}]})] == [
        "x",
        "y",
    ]
    with pytest.raises(AttributeError):
        faults({"_target_": "promise.nothing.Thing"})
