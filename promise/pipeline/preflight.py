"""What can be told of the words of a command before Hydra composes them, in one line."""

import difflib
import importlib.util
from collections.abc import Sequence

from promise import configs

#: Words with which options may come from elsewhere.
ELSEWHERE = ("--config-dir", "-cd", "--config-path", "-cp", "hydra.searchpath")

#: Option of `launcher` -> the module of its Hydra plugin, which is also the name of its distribution.
PLUGINS = {
    "joblib": "hydra_joblib_launcher",
    "slurm": "hydra_submitit_launcher",
    "ray": "hydra_ray_launcher",
}


def preflight(words: Sequence[str]) -> None:
    """Check what Hydra would tell in many lines.

    Args:
        words: The words after the verb.

    Raises:
        ValueError: If a sweep of that name does not exist, or the library of a launcher is not installed.
    """
    chosen = dict(word.lstrip("+").split("=", 1) for word in words if "=" in word)
    names = configs.groups().get("sweeps", [])
    name = chosen.get("sweeps")
    if name is not None and name not in names and not any(word.startswith(ELSEWHERE) for word in words):
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"+sweeps must be one of {', '.join(names)}, got {name}{hint}")
    launcher = chosen.get("launcher", "basic")
    if launcher in PLUGINS and not installed(f"hydra_plugins.{PLUGINS[launcher]}"):
        raise ValueError(f"launcher={launcher} needs a library: pip install {PLUGINS[launcher].replace('_', '-')}")


def installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
