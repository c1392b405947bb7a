"""Where the configs lie (checkout or wheel), which groups and options there are, and how Hydra finds them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from hydra.core.config_search_path import ConfigSearchPath
    from omegaconf import DictConfig

HYDRA_VERSION_BASE = "1.3"

#: Verbs with a root config of their own.
OWN = ("append", "bench", "pull", "push", "recommend", "serve")


def root() -> Path:
    """Folder that holds conf/ and sweeps/: the package itself in a wheel, its parent in a checkout."""
    package = Path(__file__).resolve().parent
    return package if (package / "conf").is_dir() else package.parent


def config_path() -> str:
    """Absolute path of conf/, for `hydra.main(config_path=...)`."""
    return str(root() / "conf")


def root_config(verb: str) -> str:
    """Name of the root config of a verb: its own, or the one of all others."""
    return verb if verb in OWN else "config"


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
    """The config that a verb gets for these overrides, without Hydra's own part; within a Hydra app and outside."""
    return composed(overrides, name)[0]


def composed(overrides: Sequence[str] = (), name: str = "config") -> "tuple[DictConfig, dict[str, str]]":
    """As `compose`, and the names of the options chosen, by group."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict

    if not GlobalHydra.instance().is_initialized():
        register_search_path()
        with hydra.initialize_config_dir(config_path(), version_base=HYDRA_VERSION_BASE):
            return composed(overrides, name)
    places = list(HydraConfig.get().searchpath) if HydraConfig.initialized() else []  # hydra.searchpath of the command
    own = [f"hydra.searchpath={places}"] if places and not any("searchpath=" in word for word in overrides) else []
    cfg = hydra.compose(name, [*own, *overrides], return_hydra_config=True)
    chosen = {str(group): str(option) for group, option in cfg.hydra.runtime.choices.items()}
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, chosen


def groups() -> dict[str, list[str]]:
    """Group -> its options (file names without .yaml), both sorted; sweeps/ is one of them."""
    found: dict[str, list[str]] = {}
    for folder in (root() / "conf", root() / "sweeps"):
        for path in sorted(folder.rglob("*.yaml")):
            group = path.parent.relative_to(root() if folder.name == "sweeps" else folder).as_posix()
            if group != ".":
                found.setdefault(group, []).append(path.stem)
    return found


def option_path(group: str, option: str) -> Path:
    """The file of a group's option."""
    return (root() if group == "sweeps" else root() / "conf") / group / f"{option}.yaml"


def defaults(path: Path) -> dict[str, str | None]:
    """Group -> option of a config's defaults list, in its order, without Hydra's own groups."""
    found: dict[str, str | None] = {}
    for entry in (yaml.safe_load(path.read_text("utf-8")) or {}).get("defaults", ()):
        for group, option in entry.items() if isinstance(entry, dict) else ():
            found[group.removeprefix("override ").removeprefix("optional ").lstrip("/")] = option
    return {group: option for group, option in found.items() if not group.startswith("hydra/")}
