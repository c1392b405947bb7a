"""From config nodes to plain values and to the objects that they describe."""

import inspect
import pkgutil
import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from promise.data.preparing import EventSource

#: Options of the data by which the same files become others, with their usual values.
PREPARED: dict[str, Any] = {
    **{name: each.default for name, each in inspect.signature(EventSource).parameters.items() if name != "root"},
    "domains": None,
}


def trainings(cfg: DictConfig) -> list[dict[str, Any]]:
    """The trainings that make the networks, in order: one, or generator and reward when staged.

    What is given to a staged training as a whole (`training.epochs`) is what its stages refer to.
    """
    training = plain(cfg.training)
    return [training] if "_target_" in training else [fit for fit in training.values() if isinstance(fit, dict)]


def plain(node: Any) -> dict[str, Any]:
    """A config node as a resolved dictionary; ValueError names the mandatory values (`???`) that are missing."""
    require_values(node)
    container = OmegaConf.to_container(node, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def require_values(node: Any) -> None:
    """Raise ValueError if a mandatory value (`???`) is missing; all that are get named."""
    if missing := sorted(OmegaConf.missing_keys(node)):
        raise ValueError(f"{', '.join(missing)} must be given")


def make(node: Any, **run_time: Any) -> Any:
    """The object of a node's `_target_`, given run-time objects as they are (Hydra makes configs of dataclasses)."""
    return instantiate(node, _partial_=True, _convert_="all")(**run_time)


def make_with(node: Any, makers: Mapping[str, Callable[[], Any]]) -> Any:
    """The object of a node's `_target_`, given the run-time arguments that its constructor names and it lacks."""
    asked = parameters_of(node["_target_"])
    check_call(node["_target_"], {*node, *makers}, makers)
    return make(node, **{name: maker() for name, maker in makers.items() if name in asked and name not in node})


def called_by(target: str) -> Any:
    """The class or function that a `_target_` names; ValueError if there is none, or its module cannot be imported."""
    module, _, name = target.rpartition(".")
    try:
        return pkgutil.resolve_name(f"{module}:{name}")  # with dots alone, what fails inside the module would be hidden
    except (ImportError, AttributeError, SyntaxError) as error:
        outside = isinstance(error, ImportError) and error.name == target.partition(".")[0]
        hint = ": its folder must be on PYTHONPATH (PYTHONPATH=FOLDER promise ...)" if outside else ""
        raise ValueError(f"{target} cannot be loaded, {error}{hint}") from error


def check_call(target: str, given: Collection[str], run_time: Collection[str] = ()) -> None:
    """Raise ValueError if a `_target_` lacks methods, or arguments that are not given; `run_time` are no options."""
    called = called_by(target)
    if inspect.isabstract(called):
        raise ValueError(f"{target} must define {', '.join(sorted(called.__abstractmethods__))}")
    needed = [
        parameter.name
        for parameter in inspect.signature(called).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if missing := [name for name in needed if name not in given]:
        known = f", nor among its run-time arguments: {', '.join(sorted(run_time))}" if run_time else ""
        raise ValueError(f"{target} needs {', '.join(missing)}, not found in its YAML file{known}")


@cache
def parameters_of(target: str) -> frozenset[str]:
    """Names of the parameters of a `_target_`; where it passes `**keywords` on, those of the classes above it too."""
    called = called_by(target)
    names: set[str] = set()
    for each in called.__mro__ if inspect.isclass(called) else (called,):
        if inspect.isclass(each) and "__init__" not in vars(each):
            continue
        found = inspect.signature(each.__init__ if inspect.isclass(each) else each).parameters
        names |= found.keys()
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in found.values()):
            break
    return frozenset(names - {"self"})


def named(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every dotted name within plain values with what stands there, nodes and entries of lists too.

    >>> named({"a": {"b": [5]}})
    {'a': {'b': [5]}, 'a.b': [5], 'a.b.0': 5}
    """
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: dict[str, Any] = {}
    for key, each in inner:
        found |= {f"{prefix}{key}": each, **named(each, f"{prefix}{key}.")}
    return found


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys.

    >>> flat({"a": {"b": 1, "c": [2]}, "d": 3})
    {'a.b': 1, 'a.c': [2], 'd': 3}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def data_name(option: str, data: DictConfig) -> str:
    """The data as rows name them: the option, and how else they were prepared.

    >>> data_name("shop", OmegaConf.create({"root": "x", "ties": "shuffle", "split": "last_out", "domains": ["a"]}))
    'shop:ties=shuffle:domains=[a]'
    """
    changed = {name: data[name] for name, usual in PREPARED.items() if data.get(name, usual) != usual}
    return ":".join([option, *(f"{name}={value}".replace("'", "") for name, value in changed.items())])


def without_passwords(value: Any) -> Any:
    """A value to be shown to others: texts, also those in lists and dictionaries, without the passwords of their URLs.

    >>> without_passwords({"storage": "postgresql://me:secret@host/db", "trials": 40})
    {'storage': 'postgresql://me:***@host/db', 'trials': 40}
    """
    if isinstance(value, dict):
        return {name: without_passwords(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_passwords(each) for each in value]
    return re.sub(r"(://[^\s:/@]*):[^\s@]+@", r"\1:***@", value) if isinstance(value, str) else value
