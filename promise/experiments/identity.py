"""Identity of an experiment: every value of its config that its figures depend on, with files by their contents."""

import os
from collections.abc import Iterable
from glob import glob
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

import promise
from promise.pipeline.config import flat, make, plain
from promise.pipeline.files import file_fingerprint
from promise.pipeline.model_folder import digest

#: Keys of a run that move no figure.
RUN_ONLY = (
    "store",
    "build",
    "score",
    "sweep",
    "dry_run",
    "retry_failed",
    "predictions",
    "analysis",
    "logger",
    "datamodule.workers",
)

#: Keys that name files or folders; what these hold counts, not where they lie.
FILES = ("checkpoint", "ids.path", "ids.codes_path", "evaluation.allow", "evaluation.deny", "search.file")


def identity(cfg: DictConfig, without: Iterable[str] = ()) -> dict[str, Any]:
    """All that the figures of a config depend on, by key, without those of a study; ValueError if a file is missing."""
    values = plain(cfg)
    files = {name: pop(values, name) for name in FILES}
    known = flat(values)
    for name in (*RUN_ONLY, *(name for name in without if name in known)):  # what was set in a group stays
        pop(values, name)
    values["files"] = {name: path_fingerprint(Path(path)) for name, path in files.items() if path is not None}
    values |= {name: make(cfg[name]).fingerprint() for name in ("data", "embeddings", "content") if values.get(name)}
    return {**values, "promise": promise.__version__}


def path_fingerprint(path: Path) -> str:
    """Hash of the contents of a file, or of all files of a folder, or of a pattern, and their names."""
    if path.is_file():
        return file_fingerprint(path)
    found = path.rglob("*") if path.is_dir() else map(Path, glob(str(path), recursive=True))
    files = sorted(each for each in found if each.is_file())
    return digest([[os.path.relpath(each, path), file_fingerprint(each)] for each in files])[:8]


def data_label(cfg: DictConfig, option: str) -> str:
    """The data for a reader: the option of the group, and the names of the files that it was given."""
    texts = [value for value in flat(plain(cfg.data)).values() if isinstance(value, str)]
    names = [Path(text).name for text in texts if Path(text).exists()]
    return f"{option} ({', '.join(names)})" if names else option


def pop(values: dict[str, Any], name: str) -> Any:
    """Remove a dotted key from nested mappings and return its value; None where there is none."""
    *parents, last = name.split(".")
    for parent in parents:
        values = values.get(parent) or {}
    return values.pop(last, None)
