"""A study: asks Optuna for distinct trials and tells their rows; shared by workers, and resumed after a kill."""

import itertools
import json
import logging
import os
import socket
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState

from promise.experiments.grid import untold
from promise.experiments.tuning.settings import Settings
from promise.pipeline.config import flat, without_passwords

log = logging.getLogger(__name__)

#: Attribute of a study: everything that its objective depends on beside what it searches.
IDENTITY = "promise:identity"

#: File of a journal, in the folder of its study.
JOURNAL = "study.log"

#: Attributes of a trial: its overrides, its worker's lock file, its row, why it failed.
OVERRIDES, WORKER, ROW, ERROR = "overrides", "worker", "row", "error"

#: TPE and NSGA-II begin with evenly random trials: half of all, at most so many.
MOST_FIRST = 20

#: Draws of the sampler that may be those of an earlier trial; after them draws are evenly random.
DRAWS = 20


@dataclass
class Asked:
    """A trial of Optuna's that was asked for and not told yet, and its overrides."""

    trial: optuna.Trial
    overrides: list[str]

    @property
    def number(self) -> int:
        return self.trial.number


class Study:
    """Optuna's study of the settings, with exactly as many distinct trials as they say.

    Draws depend on the seed and on the trials so far alone. A worker is at work as long as it holds a lock file in the
    study's folder, which the system lets go of however the worker ends. Workers that share a database and no folder may
    draw one trial twice, and a trial of one of them that died counts as running.

    Args:
        settings: The settings.
        name: Name of the study.
        folder: Its folder, made if need be: locks, the journal, later the results.
        seed: Seed of the draws.
        identity: What all its trials share beside the settings, by name; JSON-able.
        retry_failed: Ask once more for trials that failed before.

    Raises:
        ValueError: If a study of this name searches something else.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        folder: Path,
        seed: int,
        identity: Mapping[str, Any],
        retry_failed: bool = False,
    ) -> None:
        self.settings = settings
        self.name = name
        self.folder = folder.resolve()
        self.seed = seed
        (self.folder / "workers").mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(self.folder / ".study.lock")
        self.worker = FileLock(self.folder / "workers" / f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}.lock")
        self.again: set[int] = set()
        with self.lock:  # no other worker makes it meanwhile
            self.study = load_study(self.folder, name, settings, {**settings.identity, **identity})
            self.worker.acquire()
            for trial in self.counted() if retry_failed else ():
                if ERROR in trial.user_attrs:
                    self.again.add(trial.number)
                    self.study.enqueue_trial(trial.params)

    def counted(self) -> list[FrozenTrial]:
        """The trials that count: told or being run, of equal overrides the last one; not those of a dead worker."""
        known: dict[str, FrozenTrial] = {}
        for trial in sorted(self.study.get_trials(deepcopy=False), key=lambda trial: trial.number):
            told = trial.state is TrialState.COMPLETE or ERROR in trial.user_attrs
            if OVERRIDES in trial.user_attrs and (told or trial.state is TrialState.RUNNING):
                known[trial.user_attrs[OVERRIDES]] = trial
        return sorted((t for t in known.values() if t.number not in self.again), key=lambda trial: trial.number)

    def left(self) -> int:
        """How many trials are still to be asked for."""
        return max(0, int(min(self.settings.trials, self.settings.space.size)) - len(self.counted()))

    def ask(self, most: int = 1) -> list[Asked]:
        """The next trials, at most so many; none when the study is done."""
        found: list[Asked] = []
        with self.lock:  # no other worker counts or asks meanwhile
            self._fail_stale()
            while len(found) < most and self.left():
                found.append(self._ask())
        return found

    def _ask(self) -> Asked:
        """A queued trial, or one drawn until it differs from all others; evenly random draws find the last ones."""
        space, taken = self.settings.space, {trial.user_attrs[OVERRIDES] for trial in self.counted()}
        for turn in itertools.count():
            self.study.sampler = self._sampler(len(taken), turn)
            trial = self.study.ask()
            values: dict[str, Any] = {}
            for each in space.dimensions:
                # NSGA-II crosses only what every parent has, so all are drawn; those that cannot act are let be.
                if each.acts(values) or self.settings.sampler == "nsgaii":
                    values[each.name] = each.suggest(trial)
            overrides = space.overrides(values)
            if " ".join(overrides) not in taken:
                trial.set_user_attr(WORKER, Path(self.worker.lock_file).name)
                trial.set_user_attr(OVERRIDES, " ".join(overrides))
                break
            self.study.tell(trial, state=TrialState.FAIL)
        return Asked(trial, overrides)

    def _sampler(self, trials: int, turn: int) -> BaseSampler:
        """The sampler of the next draw; evenly random after too many draws that were taken already."""
        seed = int(np.random.SeedSequence([self.seed, trials, turn]).generate_state(1)[0])
        first = min(MOST_FIRST, max(2, self.settings.trials // 2))
        if self.settings.sampler == "tpe" and turn < DRAWS:
            return TPESampler(n_startup_trials=first, seed=seed)
        if self.settings.sampler == "nsgaii" and turn < DRAWS:
            return NSGAIISampler(population_size=first, seed=seed)
        return RandomSampler(seed=seed)

    def tell(self, asked: Asked, row: Mapping[str, Any]) -> None:
        """Tell what a trial found; a row without the objectives is a failure."""
        try:
            values, excesses = self.settings.values(row), self.settings.excesses(row)
        except ValueError as error:
            self.fail(asked, f"ValueError: {error}")
            return
        try:
            for name, excess in excesses.items():
                asked.trial.set_constraint(name, excess)
            asked.trial.set_user_attr(ROW, {**row})
            self.study.tell(asked.trial, values)
        except (RuntimeError, ValueError) as error:  # another worker took this one for dead
            log.warning("trial %d could not be told: %s", asked.number, error)
            return
        found = ", ".join(f"{name} {value:.4g}" for name, value in zip(self.settings.objectives, values, strict=True))
        log.info("trial %d: %s: %s", asked.number, " ".join(asked.overrides), found)

    def fail(self, asked: Asked, error: str) -> None:
        """Tell that a trial failed, and why."""
        try:
            asked.trial.set_user_attr(ERROR, error)
            self.study.tell(asked.trial, state=TrialState.FAIL)
        except (RuntimeError, ValueError) as fault:  # another worker took this one for dead
            log.warning("trial %d could not be told: %s", asked.number, fault)
        log.error("trial %d: %s failed: %s", asked.number, " ".join(asked.overrides), error)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the trials that were told, each with its number, status and error."""
        status = {TrialState.COMPLETE: "done", TrialState.FAIL: "failed"}
        rows = []
        for trial in self.counted():
            if trial.state in status:
                values = {n: v for n, v in trial.params.items() if f"{n}=" in trial.user_attrs[OVERRIDES]}
                told = {"status": status[trial.state], "error": trial.user_attrs.get(ERROR)}
                told["further"] = untold(trial.user_attrs[OVERRIDES].split())
                rows.append({**(trial.user_attrs.get(ROW) or values), "trial": trial.number, **told})
        return rows

    def close(self) -> None:
        """Let others know that this worker is gone, and with it the trials that it did not tell."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get(WORKER) == Path(self.worker.lock_file).name:
                self.study.tell(trial.number, state=TrialState.FAIL)
        self.worker.release()
        Path(self.worker.lock_file).unlink(missing_ok=True)

    def _fail_stale(self) -> None:
        """Tell FAIL for the trials of workers that are gone; others are drawn for them."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # Whoever asks holds the study's lock until the trial is signed: one without a worker is of a dead one.
            path = self.folder / "workers" / trial.user_attrs.get(WORKER, "none")
            if path.name == Path(self.worker.lock_file).name or (WORKER in trial.user_attrs and not path.exists()):
                continue  # of this worker, or of one that shares the database and not the folder
            try:
                with FileLock(path, timeout=0):
                    path.unlink(missing_ok=True)
            except Timeout:
                continue
            self.study.tell(trial.number, state=TrialState.FAIL)
            log.warning("trial %d was left by a worker that is gone", trial.number)


def load_study(folder: Path, name: str, settings: Settings, identity: dict[str, Any]) -> optuna.Study:
    """The study of a name, made when there is none; ValueError if it searches something else, or cannot be opened."""
    storage = open_storage(settings.storage, folder, settings.where)
    directions: Any = settings.directions
    study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
    known = study.user_attrs.get(IDENTITY)
    if known is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(IDENTITY, identity)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(settings.objectives))
        return study
    ours, theirs = flat(json.loads(json.dumps(identity))), flat(known or {})
    if other := [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]:
        told = ", ".join(f"{key}={theirs.get(key)} and not {ours.get(key)}" for key in other)
        where = f"{settings.where}.name={name}"
        raise ValueError(without_passwords(f"{where} is a study with {told}: give this one another name"))
    return study


def open_storage(storage: str, folder: Path, where: str) -> BaseStorage:
    """The storage that a config of the name `where` asks for, as Optuna's tools open it; ValueError if it can't be."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every table that it looks at
    try:
        if storage == "journal":
            cut_torn_line(folder / JOURNAL)
            return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
        return RDBStorage(storage)
    except Exception as error:  # every driver has its own kinds
        reason = (str(error.__cause__ or error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(without_passwords(f"{where}.storage={storage} cannot be opened: {reason}")) from error


def cut_torn_line(path: Path) -> None:
    """Cut off a last line that was being written when the power went: Optuna could read nothing after it."""
    if not path.exists():
        return
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)
    finally:
        lock.release()
