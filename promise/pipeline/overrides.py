"""Words of a command line: every key and option must exist; what does not is told with the nearest that does."""

import difflib
import importlib.util
import re
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from promise import configs
from promise.pipeline.config import named
from promise.pipeline.files import require_writable

#: Nodes that take keys beside those of their config: what others' classes and a study's space have.
OPEN = ("hydra", "trainer", "logger", "launcher", "sweep.study")

#: Words that Hydra itself refuses where they are wrong: they add, remove and replace no node and read no file of keys.
PLAIN = re.compile(r"(?!(experiment|datamodule|checkpoint_selection|evaluation|sweep)=)[A-Za-z][^=]*=[^{]*")

#: Option of `launcher` -> the module of its Hydra plugin.
PLUGINS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "slurm": "hydra_plugins.hydra_submitit_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
}

#: Overrides that say where and how something ran, not what was made or measured.
ELSEWHERE = ("store", "build", "predictions", "logger", "score", "sweep", "sweeps", "hydra", "launcher")

#: Options that name a place, and what stands for it in a command that others read; other paths become FILE.
PLACES = {"data.root": "DIR", "search.file": "FILE"}


def placeless(words: Iterable[str]) -> dict[str, str]:
    """The overrides that others can type, by option, a later one of the same name in force: no path of one machine.

    >>> placeless(["data=table", "data.events=/home/me/x.csv", "store=s", "seed=1", "seed=2"])
    {'data': 'data=table', 'data.events': 'data.events=FILE', 'seed': 'seed=2'}
    """
    found: dict[str, str] = {}
    for word in words:
        name, _, value = word.lstrip("+~").partition("=")
        if name.split(".")[0] not in ELSEWHERE:
            found[name] = f"{name}={PLACES[name]}" if name in PLACES else f"{name}=FILE" if "/" in value else word
    return found


def flags_first(words: Sequence[str]) -> list[str]:
    """The words after a verb, flags before overrides, as Hydra wants them; ValueError if a flag is wrong."""
    overrides, flags = _parser().parse_intermixed_args(list(words)).overrides, list(words)
    for override in overrides:
        flags.remove(override)
    return [*flags, *overrides]


def _parser() -> ArgumentParser:
    """Hydra's parser of a command, which raises ValueError."""

    def refuse(message: str) -> NoReturn:
        raise ValueError(f"{message}; options have no dashes, KEY=VALUE (--hydra-help lists Hydra's flags)")

    parser = get_args_parser()
    parser.allow_abbrev = False
    parser.error = refuse  # type: ignore[method-assign]
    return parser


@contextmanager
def checked_command(words: Sequence[str], config_name: str) -> Iterator[None]:
    """Around a verb: checks the words after it, overrides only where Hydra would take what does not exist, or fails.

    ValueError if a flag, key, option, folder or library does not exist, or the store can't be written.
    """
    command = _parser().parse_args(words)
    folder = command.config_dir
    if folder is not None and not Path(folder).is_dir():
        raise ValueError(f"--config-dir {folder} is no folder")
    check_launcher(words)
    for word in command.overrides if command.multirun else ():
        if re.match(r"(out|predictions)=[^,$]*$", word):
            raise ValueError(f"{word} would be written by every job of -m: have ${{hydra:job.num}} in its name")
    check = partial(check_overrides, command.overrides, command.config_name or config_name, folder)
    if command.config_path is None and not all(map(PLAIN.fullmatch, command.overrides)):
        check()
    stored = "\nstore:" in (Path(configs.config_path()) / f"{config_name}.yaml").read_text("utf-8")
    if stored and not (command.cfg or command.info or command.hydra_help):
        store = dict(word.partition("=")[::2] for word in command.overrides).get("store", "outputs")
        require_writable("store", store, store.strip("'\""))
    try:
        yield
    except Exception:
        if command.config_path is None:
            check()
        raise


def check_launcher(words: Sequence[str]) -> None:
    """Raise ValueError if the library of a chosen launcher is not installed."""
    launcher = dict(word.partition("=")[::2] for word in words).get("launcher")
    if launcher in PLUGINS and not installed(PLUGINS[launcher]):
        raise ValueError(
            f"launcher={launcher} needs a library: pip install {PLUGINS[launcher].rpartition('.')[2].replace('_', '-')}"
        )


def installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def check_overrides(words: Sequence[str], config_name: str = "config", folder: str | None = None) -> None:
    """Check overrides, and what the chosen experiment and sweep set, as far as Hydra doesn't; `folder` is --config-dir.

    Raises:
        ValueError: If a key or option does not exist or may not go.
        hydra.errors.HydraException: If a word is no override, or the options cannot be composed for another reason.
    """
    parsed = OverridesParser.create().parse_overrides(list(words))
    given: list[Any] = [override.value() for override in parsed if override.key_or_group == "hydra.searchpath"]
    places = [f"file://{Path(folder).resolve()}"] if folder else []
    places += [str(getattr(place, "text", place)) for value in given if isinstance(value, list) for place in value]
    path = [f"hydra.searchpath={places}"] if places else []
    if GlobalHydra.instance().is_initialized():
        return _check(parsed, config_name, path)
    configs.register_search_path()
    with hydra.initialize_config_dir(configs.config_path(), version_base=configs.HYDRA_VERSION_BASE):
        _check(parsed, config_name, path)


def _check(parsed: Sequence[Override], config_name: str, path: list[str]) -> None:
    loader = GlobalHydra.instance().config_loader()
    usual = configs.defaults(Path(configs.config_path()) / f"{config_name}.yaml")
    chosen, keys = [], []
    for override in parsed:
        group = override.key_or_group
        ours = not override.is_hydra_override()
        options = []
        if "." not in group and (usual or not ours):  # groups have no dots, and to ask for one reads the root config
            options = loader.get_group_options(group, ObjectType.CONFIG, config_name, path)
        if override.is_delete() and ours:
            raise ValueError(f"{override.input_line}: nothing can be left out; give it another value")
        if options:
            values = list(override.sweep_string_iterator()) if override.is_discrete_sweep() else []
            values = values or [override.get_value_element_as_str()]
            for name in (name for value in values for name in value.strip("[]").split(",")):
                if ours and name not in options and not (name == "null" and usual.get(group, "") is None):
                    close = difflib.get_close_matches(name, options, 1)
                    hint = f" (did you mean {close[0]}?)" if close else ""
                    typed = str(override.input_line).partition("=")[0]
                    raise ValueError(f"{typed} must be one of {', '.join(options)}, got {name}{hint}")
            chosen.append(f"{override.get_key_element()}={values[0]}")
        elif not group.startswith("hydra."):
            keys.append(override)
    cfg = hydra.compose(config_name, [*path, *chosen], return_hydra_config=True)
    names = _names(cfg)
    for override in keys:
        value = None if override.is_sweep_override() else override.value()
        _check_key(override.key_or_group, value, names)
    _check_files(cfg, names, config_name, path, usual)


def _check_key(key: str, value: Any, names: dict[str, Any]) -> None:
    if _is_open(key, names):
        return
    if key not in names:
        raise ValueError(_unknown(key, names))
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_key(f"{key}.{name}", inner, names)
    elif isinstance(names[key], dict) and names[key]:
        raise ValueError(f"{key} takes no value, its keys do: {', '.join(f'{key}.{name}' for name in names[key])}")


def _check_files(
    cfg: DictConfig, set_there: dict[str, Any], config_name: str, path: list[str], usual: dict[str, str | None]
) -> None:
    """Check that the chosen experiment and sweep set nothing that the chosen options do not have."""
    choices = {str(group): option for group, option in cfg.hydra.runtime.choices.items()}
    free = {group: choices.pop(group, None) for group in ("experiment", "sweeps")}
    if not any(free.values()):
        return
    words = [
        f"{'' if group in usual else '+'}{group}={option}"
        for group, option in choices.items()
        if option is not None and not group.startswith("hydra/")
    ]
    names = _names(hydra.compose(config_name, [*path, *words], return_hydra_config=True))
    for key in set_there:
        if isinstance(set_there.get(key.rpartition(".")[0]), list):
            continue  # an entry of a list, whose length is free
        if key not in names and not key.startswith("sweep.") and not _is_open(key, names):
            said = " ".join(f"{group}={option}" for group, option in free.items() if option)
            raise ValueError(f"{said} sets {_unknown(key, names)}")


def _names(cfg: DictConfig) -> dict[str, Any]:
    """Every dotted name of a config but Hydra's own, with its plain value."""
    values: Any = OmegaConf.to_container(cfg, resolve=False)
    return named({name: value for name, value in values.items() if name != "hydra"})


def _is_open(key: str, names: dict[str, Any]) -> bool:
    """Whether a node above the key takes keys that its config does not list: those of `OPEN`, and others' classes."""
    parts = key.split(".")
    above = [".".join(parts[:depth]) for depth in range(1, len(parts))]
    targets = [str(names[f"{name}._target_"]) for name in above if f"{name}._target_" in names]
    return not set(OPEN).isdisjoint(above) or (bool(targets) and not targets[-1].startswith("promise."))


def _unknown(key: str, names: Sequence[str] | dict[str, Any]) -> str:
    parent, _, last = key.rpartition(".")
    beside = [name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == parent and name[-1] != "_"]
    if parent and beside:
        close = [f"{parent}.{name}" for name in difflib.get_close_matches(last, beside, 1)]
    else:
        lasts = {name.rpartition(".")[2]: name for name in sorted(names, reverse=True)}
        close = difflib.get_close_matches(key, names, 1, 0.7)
        close += [lasts[name] for name in difflib.get_close_matches(last, lasts, 1, 0.8)]
    if close:
        return f"{key}: unknown; did you mean {close[0]}?"
    return f"{key}: unknown; " + (f"{parent} has {', '.join(beside)}" if parent and beside else "--help lists all keys")
