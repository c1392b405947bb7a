"""Words of a command line: every key and option must exist; what does not is told with the nearest that does."""

import argparse
import difflib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from promise import configs
from promise.pipeline.errors import told
from promise.pipeline.files import require_writable

#: Nodes that take keys beside those of their config: what others' classes and a study's space have.
OPEN = ("hydra", "trainer", "logger", "launcher", "sweep.study")

#: Option of `launcher` -> the module of its Hydra plugin.
PLUGINS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "slurm": "hydra_plugins.hydra_submitit_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
}

#: Hydra's flags: those that take a word, and those that take none.
WITH_WORD = ("--cfg -c", "--package -p", "--config-path -cp", "--config-name -cn", "--config-dir -cd", "--info -i")
WITHOUT = ("--hydra-help", "--version", "--resolve", "--run -r", "--multirun -m", "--shell-completion -sc")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (--hydra-help lists Hydra's flags)")


def parse_command(words: Sequence[str]) -> argparse.Namespace:
    """Split the words after a verb into Hydra's flags and `overrides`.

    Raises:
        ValueError: If there is no such flag.
    """
    parser = _Parser(prog="promise", add_help=False, allow_abbrev=False)
    for flag in WITH_WORD:
        parser.add_argument(*flag.split(), nargs="?", const="all")
    for flag in WITHOUT:
        parser.add_argument(*flag.split(), action="store_true")
    parser.add_argument("overrides", nargs="*")
    return parser.parse_args(words)


def check_command(words: Sequence[str], config_name: str) -> None:
    """Check the words after a verb before Hydra reads them.

    Raises:
        ValueError: If a flag, key, option, folder or library does not exist, or the store can't be written.
    """
    command = parse_command(words)
    if command.config_dir is not None and not Path(command.config_dir).is_dir():
        raise ValueError(f"--config-dir {command.config_dir} is no folder")
    check_launcher(words)
    if command.config_path is None:
        check_overrides(
            command.overrides, command.config_name or config_name, command.multirun, folder=command.config_dir
        )
    if not (command.cfg or command.info or command.hydra_help):
        store = dict(word.partition("=")[::2] for word in command.overrides).get("store", "outputs")
        require_writable("store", store, store.strip("'\""))


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


def check_overrides(
    words: Sequence[str], config_name: str = "config", multirun: bool = False, folder: str | None = None
) -> None:
    """Check overrides, and what the chosen experiment and sweep set.

    Args:
        words: As typed (`search.width=10`).
        config_name: The root config.
        multirun: Whether an override may have several values.
        folder: A further folder of configs (`--config-dir`).

    Raises:
        ValueError: If a word is no override, or a key or option does not exist, may not go, or was renamed.
        hydra.errors.HydraException: If the options cannot be composed for another reason.
    """
    parsed = [_parse(word) for word in words]
    given = [override.input_line or "" for override in parsed if override.key_or_group == "hydra.searchpath"]
    path = [f"hydra.searchpath=[file://{Path(folder).resolve()}]"] if folder else given
    if GlobalHydra.instance().is_initialized():
        return _check(parsed, config_name, multirun, path)
    configs.register_search_path()
    with hydra.initialize_config_dir(configs.config_path(), version_base=configs.HYDRA_VERSION_BASE):
        _check(parsed, config_name, multirun, path)


def _parse(word: str) -> Override:
    try:
        override = OverridesParser.create().parse_override(word)
    except (OverrideParseException, HydraException) as error:
        if "=" not in word:
            raise ValueError(f"{word!r} is no override: KEY=VALUE or GROUP=OPTION is one") from None
        key, _, value = word.partition("=")
        raise ValueError(f"{key} can't read {value!r}: quote it, {key}='\"…\"' ({told(error)})") from None
    if override.key_or_group in ("", "~", "+"):
        raise ValueError(f"{word!r} is no override: KEY=VALUE or GROUP=OPTION is one")
    return override


def _check(parsed: Sequence[Override], config_name: str, multirun: bool, path: list[str]) -> None:
    loader = GlobalHydra.instance().config_loader()
    usual = configs.defaults(Path(configs.config_path()) / f"{config_name}.yaml")
    groups = {each.key_or_group for each in parsed if usual or each.is_hydra_override()}
    options_of = {group: loader.get_group_options(group, ObjectType.CONFIG, config_name, path) for group in groups}
    found = [(each, options_of.get(each.key_or_group, [])) for each in parsed]
    chosen = []
    for override, options in found:
        if not multirun and override.is_sweep_override():
            key, _, value = str(override.input_line).partition("=")
            raise ValueError(f"{key} takes one value, got {value}: [{value}] is a list, and -m runs one job per value")
        if options and not override.is_hydra_override():
            _check_option(override, options, usual)
        if options:
            chosen.append(override)
    composed = [_compose(config_name, [*path, *words]) for words in _alternatives(chosen)]
    names = {name: node for cfg in composed for name, node in _names(cfg)}
    for override, options in found:
        if not options and not override.key_or_group.startswith("hydra."):
            _check_key(override, names)
    for cfg in composed:
        _check_files(cfg, config_name, path, usual)


def _compose(config_name: str, words: list[str]) -> DictConfig:
    return hydra.compose(config_name, words, return_hydra_config=True)


def _alternatives(chosen: Sequence[Override]) -> Iterator[list[str]]:
    """The first option of every group, then each further option in its place."""
    words = [[f"{each.get_key_element()}={option}" for option in _options(each)] for each in chosen]
    yield [options[0] for options in words]
    for index, options in enumerate(words):
        for option in options[1:]:
            yield [option if other == index else others[0] for other, others in enumerate(words)]


def _options(override: Override) -> list[str]:
    if override.is_discrete_sweep():
        return list(override.sweep_string_iterator())
    return [override.get_value_element_as_str()]


def _check_option(override: Override, options: Sequence[str], usual: dict[str, str | None]) -> None:
    group = override.key_or_group
    typed = f"{'+' if group not in usual else ''}{group}"
    if override.is_delete():
        raise ValueError(f"~{group}: a group can't be left out; choose an option, one of {', '.join(options)}")
    for option in _options(override):
        wanted = option.strip("[]").split(",")
        for name in wanted:
            if name not in options and not (name == "null" and usual.get(group, "") is None):
                hint = _close(name, options)
                raise ValueError(f"{typed} must be one of {', '.join(options)}, got {name}{hint}")
    if override.is_add() == (group in usual):
        raise ValueError(f"{override.input_line} must be {typed}={_options(override)[0]}")


def _check_key(override: Override, names: dict[str, Any]) -> None:
    key = override.key_or_group
    value = override.value() if not override.is_sweep_override() else None
    if key not in names and _is_open(key, names) and not override.is_add() and not override.is_force_add():
        raise ValueError(f"{key} is not in the config: +{override.input_line} passes it on")
    if _is_open(key, names):
        return
    for inner in _keys(key, value):
        if inner not in names:
            raise ValueError(_unknown(inner, names))
    if override.is_delete():
        raise ValueError(f"{override.input_line}: a key can't be left out; give it another value")
    if override.is_add():
        raise ValueError(f"{override.input_line} must be {str(override.input_line)[1:]}")
    if isinstance(names[key], dict) and names[key] and not isinstance(value, dict):
        raise ValueError(f"{key} takes no value, its keys do: {', '.join(f'{key}.{name}' for name in names[key])}")


def _check_files(cfg: DictConfig, config_name: str, path: list[str], usual: dict[str, str | None]) -> None:
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
    names = dict(_names(_compose(config_name, [*path, *words])))
    for key, _ in _names(cfg):
        if key not in names and not key.startswith("sweep.") and not _is_open(key, names):
            said = " ".join(f"{group}={option}" for group, option in free.items() if option)
            raise ValueError(f"{said} sets {_unknown(key, names)}")


def _keys(key: str, value: Any) -> Iterator[str]:
    """The key, or those of the mapping that is given to it."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _keys(f"{key}.{name}", inner)
    else:
        yield key


def _names(cfg: DictConfig) -> Iterator[tuple[str, Any]]:
    """Every dotted name of a config but Hydra's own, with its plain value."""
    queue = [(str(k), v) for k, v in OmegaConf.to_container(cfg, resolve=False).items() if k != "hydra"]  # type: ignore[union-attr]
    while queue:
        name, value = queue.pop(0)
        yield name, value
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        queue += [(f"{name}.{key}", each) for key, each in inner]


def _is_open(key: str, names: dict[str, Any]) -> bool:
    """Whether a node above the key takes keys that its config does not list: those of `OPEN`, and others' classes."""
    parts = key.split(".")
    above = [".".join(parts[:depth]) for depth in range(1, len(parts))]
    targets = [str(names[f"{name}._target_"]) for name in above if f"{name}._target_" in names]
    return not set(OPEN).isdisjoint(above) or (bool(targets) and not targets[-1].startswith("promise."))


def _unknown(key: str, names: Sequence[str] | dict[str, Any]) -> str:
    if new := configs.renamed(key):
        return f"{key} is now {new}"
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


def _close(name: str, options: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, options, 1)
    return f" (did you mean {close[0]}?)" if close else ""
