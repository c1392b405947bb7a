"""Where the configs lie (checkout or wheel), what they hold as text, and how Hydra finds them."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from hydra.core.config_search_path import ConfigSearchPath
    from omegaconf import DictConfig

HYDRA_VERSION_BASE = "1.3"
_COMMENT = re.compile(r"\s*#\s*(.*?)\s*$")
_PACKAGE = re.compile(r"^#\s*@package\s+(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Dial:
    """One value of a config.

    Attributes:
        name: dotted, as typed on the command line (`search.width`).
        value: the default, as YAML text (`null`, `[1, 2]`).
        comment: its unit or meaning: the comment at the end of its line; empty when there is none.
        line: 1-based line in its file.
    """

    name: str
    value: str
    comment: str
    line: int


def root() -> Path:
    """Folder that holds conf/ and sweeps/: the package itself in a wheel, its parent in a checkout."""
    package = Path(__file__).resolve().parent
    return package if (package / "conf").is_dir() else package.parent


def config_path() -> str:
    """Absolute path of conf/, for `hydra.main(config_path=...)`."""
    return str(root() / "conf")


def register_search_path() -> None:
    """Let Hydra find `+sweeps=NAME` in sweeps/, which lies beside conf/; a second call changes nothing."""
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class PromiseSearchPath(SearchPathPlugin):
        """Adds the folder above conf/ and sweeps/ as the last place to look in."""

        def manipulate_search_path(self, search_path: "ConfigSearchPath") -> None:
            search_path.append("promise", f"file://{root()}")

    plugins = Plugins.instance()
    known = {plugin.__name__ for plugin in plugins.discover(SearchPathPlugin)}
    if PromiseSearchPath.__name__ not in known:
        plugins.register(PromiseSearchPath)


def compose(overrides: Sequence[str] = (), name: str = "config") -> "DictConfig":
    """The config that a verb gets for these overrides, without Hydra's own part; for notebooks and tests.

    Args:
        overrides: as on the command line (`["search.width=10"]`).
        name: the root config: `config`, or `bench` for `promise bench`.

    Raises:
        hydra.errors.HydraException: Hydra cannot compose them.
    """
    import hydra

    register_search_path()
    with hydra.initialize_config_dir(config_path(), version_base=HYDRA_VERSION_BASE):
        return hydra.compose(name, list(overrides))


def groups() -> dict[str, list[str]]:
    """Group -> its options (file names without .yaml), both sorted; sweeps/ is one of them."""
    found: dict[str, list[str]] = {}
    for path in sorted((root() / "conf").rglob("*.yaml")):
        group = path.parent.relative_to(root() / "conf").as_posix()
        if group != ".":
            found.setdefault(group, []).append(path.stem)
    if sweeps := sorted(path.stem for path in (root() / "sweeps").glob("*.yaml")):
        found["sweeps"] = sweeps
    return found


def option_path(group: str, option: str) -> Path:
    """The file of a group's option."""
    return (root() if group == "sweeps" else root() / "conf") / group / f"{option}.yaml"


def defaults(path: Path) -> dict[str, str | None]:
    """Group -> option of a config's defaults list, in its order."""
    found: dict[str, str | None] = {}
    for entry in _load(path).get("defaults") or []:
        if isinstance(entry, dict):
            for group, option in entry.items():
                found[group.removeprefix("override ").removeprefix("optional ").lstrip("/")] = option
    return found


def dials(path: Path, group: str = "") -> list[Dial]:
    """The values of one config file, in its order; `_target_` and the defaults list are no dials.

    Args:
        path: the YAML file.
        group: the group it belongs to, the prefix of its names unless the file says `# @package`; a preset
            (`defaults: [other]`) shows the dials of the option it is based on, with its own values.
    """
    text = path.read_text("utf-8")
    header = _PACKAGE.search(text)
    prefix = header[1].replace("_global_", "") if header else group.replace("/", ".")
    merged: dict[str, Dial] = {}
    for entry in _load(path).get("defaults") or []:
        if group and isinstance(entry, str) and entry != "_self_":
            option, _, package = entry.partition("@")
            for dial in dials(path.parent / f"{option}.yaml", group):
                inner = dial.name.removeprefix(f"{prefix}.")
                dial = replace(dial, name=".".join(filter(None, (prefix, package, inner))))
                merged[dial.name] = dial
    content = yaml.compose(text)
    if isinstance(content, yaml.MappingNode):
        content.value = [pair for pair in content.value if pair[0].value not in ("defaults", "hydra")]
    for dial in _walk(content, prefix, text.splitlines()):
        if not dial.name.split(".")[-1].startswith("_"):
            known = merged.get(dial.name)
            merged[dial.name] = replace(dial, comment=dial.comment or known.comment) if known else dial
    return list(merged.values())


def _walk(node: yaml.Node | None, prefix: str, lines: Sequence[str]) -> Iterator[Dial]:
    """Leaves below a YAML node; a list is a leaf unless it holds mappings."""
    children: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(index), value, value) for index, value in enumerate(node.value)]
    for name, key, value in children:
        dotted = f"{prefix}.{name}" if prefix else name
        holds = value.value if isinstance(value, yaml.CollectionNode) else []
        if isinstance(value, yaml.MappingNode) or any(isinstance(item, yaml.MappingNode) for item in holds):
            yield from _walk(value, dotted, lines)
        else:
            yield Dial(dotted, _shown(value, lines), _comment(key, value, lines), key.start_mark.line + 1)


def _shown(node: yaml.Node, lines: Sequence[str]) -> str:
    start, end = node.start_mark, node.end_mark
    if start.line == end.line:
        return lines[start.line][start.column : end.column] or "null"
    return json.dumps(yaml.safe_load(yaml.serialize(node)), ensure_ascii=False)


def _comment(key: yaml.Node, value: yaml.Node, lines: Sequence[str]) -> str:
    """The comment at the end of the line that the key stands on."""
    one_line = value.start_mark.line == value.end_mark.line == key.start_mark.line
    line, column = (
        (value.end_mark if one_line else key.end_mark).line,
        (value if one_line else key).end_mark.column,
    )
    rest = lines[line][column:]
    match = _COMMENT.match(rest if one_line else rest.removeprefix(":"))
    return match[1] if match else ""


def _load(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text("utf-8"))
    return content if isinstance(content, dict) else {}
