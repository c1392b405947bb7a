"""Content-addressed artifacts: a stage is built once, under a lock, and appears whole or not at all."""

import hashlib
import json
import logging
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

import promise

MANIFEST = "manifest.json"
#: Folder of a build for what it goes on from after a kill; no part of the artifact.
SCRATCH = "checkpoints"
_PARTIAL = ".partial-"
_REMOVED = ".removed-"
_LOCKS = ".locks"
_MADE_OF = ("stage", "config", "inputs", "version")
_KEY = re.compile(r".+-[0-9a-f]{16}")

log = logging.getLogger(__name__)


def process_rank() -> int:
    """The number of this process among those of a distributed run, by the environment; 0 = the first, or alone.

    Tasks of Slurm are such processes where Lightning takes them for it: not in a job named bash or interactive.
    """
    names = ["RANK", "LOCAL_RANK"]
    if "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        names.append("SLURM_PROCID")
    return int(next((os.environ[name] for name in names if name in os.environ), "0"))


class NotBuilt(ValueError):
    """An artifact `key` is missing and may not be built; `training` is what would make it, where that is a training."""

    key, training = "", None  # type: str, Any


@dataclass(frozen=True)
class Artifact:
    """One finished stage."""

    path: Path  # its folder; what is in there is the stage's own business
    fingerprint: str  # hash of its contents, one of the `inputs` of the stages behind it
    manifest: dict[str, Any]  # what made it (stage, config, inputs, version), the seconds that took, and its files
    built: bool  # whether this call built it


@dataclass(frozen=True)
class Listing:
    """One line of `Store.ls`: an artifact, or what a killed build left."""

    key: str  # name of its folder, `stage-<16 hex>`
    complete: bool
    size_bytes: int
    seconds: float | None  # that its build took; None when unfinished
    created: str | None  # UTC time of its end, ISO 8601; None likewise


class Store:
    """Artifacts under a folder, which is made with the first one, shared by any number of processes."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def key(self, stage: str, config: Mapping[str, Any], inputs: Mapping[str, str], version: int) -> str:
        """Name of the artifact that these make: `stage-<16 hex>`.

        A number counts by its value (1 is 1.0) and the order of names does not count.

        Args:
            stage: its name.
            config: the stage's own dials, JSON-able; no paths, devices or loggers.
            inputs: name -> fingerprint of everything that the stage reads.
            version: the stage's version, raised when its code makes something else of the same dials.

        Raises:
            ValueError: a dial is NaN or infinite.
        """
        made_of = _made_of(stage, config, inputs, version)
        text = json.dumps(made_of, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"{stage}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def find(self, key: str) -> Artifact | None:
        """The finished artifact of that name, or None."""
        try:
            manifest = json.loads((self.root / key / MANIFEST).read_text("utf-8"))
            return Artifact(self.root / key, manifest["fingerprint"], manifest, built=False)
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None

    def get_or_build(
        self,
        stage: str,
        config: Mapping[str, Any],
        inputs: Mapping[str, str],
        version: int,
        build: Callable[[Path], dict[str, Any]],
        allow_build: bool = True,
        *,
        command: str = "promise prepare",
        collective: bool = False,
    ) -> Artifact:
        """Return the artifact, building it first when it is not there.

        Processes that ask for the same artifact at once build it once; the others wait. A killed build leaves its
        folder behind for the next one to go on from; a first one that ends in a ValueError (bad input) leaves nothing.

        Args:
            stage, config, inputs, version: what makes the artifact, see `key`.
            build: writes the artifact's files into the folder it is given, which may hold what a killed build
                of the same key left there, and returns {"fingerprint": str, ...more fields for the manifest}.
            allow_build: False refuses to build (`build=never`).
            command: what the refusal tells the user to type.
            collective: every rank of a distributed run (see `process_rank`) takes part in the build; rank 0 keeps
                the result.

        Raises:
            NotBuilt: the artifact is missing and may not be built.
            ValueError: an input has no fingerprint, as every other one without would pass for it.
        """
        for name, fingerprint in inputs.items():
            if not isinstance(fingerprint, str) or not fingerprint:
                raise ValueError(f"the fingerprint of the {name} must be a text that is not empty, got {fingerprint!r}")
        key = self.key(stage, config, inputs, version)
        if found := self.find(key):
            return found
        if not allow_build:
            refusal = NotBuilt(f"build=never, but {stage} ({key}) is not in {self.root}: `{command}` builds it")
            refusal.key = key
            raise refusal
        if collective and process_rank() > 0:
            return self._join(key, build)
        with self._locked(key, wait=True):
            if found := self.find(key):
                return found
            return self._build(key, _made_of(stage, config, inputs, version), build)

    def _build(self, key: str, made_of: dict[str, Any], build: Callable[[Path], dict[str, Any]]) -> Artifact:
        final, partial = self.root / key, self.root / f"{_PARTIAL}{key}"
        resumed = partial.exists()
        partial.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        try:
            extra = build(partial)
        except BaseException as error:
            if not any(partial.iterdir()) or (isinstance(error, ValueError) and not resumed):
                shutil.rmtree(partial)
            raise
        manifest = {
            **extra,
            **made_of,
            "fingerprint": extra["fingerprint"],
            "seconds": round(time.perf_counter() - start, 3),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "promise": promise.__version__,
            "files": {name: _described(path) for name, path in _files(partial) if not name.startswith(f"{SCRATCH}/")},
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False, default=lambda number: number.item())
        (partial / MANIFEST).write_text(text + "\n", encoding="utf-8")
        if final.exists():
            log.warning("%s has no readable %s: replacing it", final, MANIFEST)
            shutil.rmtree(final)
        partial.rename(final)
        shutil.rmtree(final / SCRATCH, ignore_errors=True)
        return Artifact(final, manifest["fingerprint"], json.loads(text), built=True)

    def _join(self, key: str, build: Callable[[Path], dict[str, Any]]) -> Artifact:
        """Take part in a build that rank 0 of this run holds the lock for, and wait for its result."""
        (partial := self.root / f"{_PARTIAL}{key}").mkdir(parents=True, exist_ok=True)
        build(partial)
        while not (found := self.find(key)):
            time.sleep(0.1)
        return found

    def ls(self) -> list[Listing]:
        """All artifacts and unfinished builds, by name."""
        rows = []
        names = {path.name.removeprefix(_PARTIAL) for path in self.root.glob("*") if path.is_dir()}
        for key in sorted(filter(_KEY.fullmatch, names)):
            found = self.find(key)
            folders = [self.root / key] if found else [self.root / key, self.root / f"{_PARTIAL}{key}"]
            size = sum(path.stat().st_size for folder in folders for _, path in _files(folder))
            made = found.manifest if found else {}
            rows.append(Listing(key, found is not None, size, made.get("seconds"), made.get("created")))
        return rows

    def rm(self, patterns: Sequence[str]) -> list[str]:
        """Remove every artifact and unfinished build whose name fits a pattern (`generator-*`); return their names.

        Raises:
            ValueError: a pattern fits nothing (nothing is removed then), or an artifact is being built.
        """
        fitting = {pattern: [row.key for row in self.ls() if fnmatchcase(row.key, pattern)] for pattern in patterns}
        if missing := [pattern for pattern, keys in fitting.items() if not keys]:
            raise ValueError(f"no artifact is named {missing[0]!r} in {self.root}")
        removed = sorted({key for keys in fitting.values() for key in keys})
        for key in removed:
            with self._locked(key, wait=False):
                for folder in (self.root / key, self.root / f"{_PARTIAL}{key}"):
                    if folder.exists():
                        # Renamed first: a reader sees the whole artifact or none.
                        gone = self.root / f"{_REMOVED}{key}"
                        shutil.rmtree(gone, ignore_errors=True)
                        folder.rename(gone)
                        shutil.rmtree(gone)
        return removed

    def verify(self) -> dict[str, list[str]]:
        """Key -> what is wrong with its files, in words; an empty list for a sound artifact."""
        return {row.key: self.problems(row.key) for row in self.ls()}

    def problems(self, key: str) -> list[str]:
        """What is wrong with the files of an artifact, in words."""
        if (found := self.find(key)) is None:
            return ["unfinished: its stage goes on from here, or `promise artifacts rm` it"]
        listed, there = found.manifest.get("files", {}), dict(_files(found.path))
        problems = []
        if self.key(*(found.manifest.get(name, "") for name in _MADE_OF)) != key:
            problems.append("its name is not the hash of what its manifest says it is made of")
        for name, described in listed.items():
            if name not in there:
                problems.append(f"{name} is missing")
            elif _described(there[name]) != described:
                problems.append(f"{name} has changed")
        return problems + [f"{name} is not in its manifest" for name in there if name not in listed]

    def _locked(self, key: str, wait: bool) -> AcquireReturnProxy:
        folder = self.root / _LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{key}.lock")
        try:
            return lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise ValueError(f"{key} is being built by another process") from None
            log.info("%s is being built by another process: waiting for it", key)
            return lock.acquire()


def _made_of(stage: str, config: Any, inputs: Mapping[str, str], version: int) -> dict[str, Any]:
    return dict(zip(_MADE_OF, (stage, _canonical(config, stage), dict(inputs), version), strict=True))


def _canonical(value: Any, name: str) -> Any:
    """Plain JSON values, whole floats as integers; `name` is the dial's name for the error."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item, name) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}")
        return int(value) if value.is_integer() else value
    return value


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Every file below the folder but the manifest, by its relative name, sorted."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted((path.relative_to(folder).as_posix(), path) for path in paths if path != folder / MANIFEST)


def _described(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
