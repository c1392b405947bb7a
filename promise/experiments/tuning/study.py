"""A study: asks Optuna for distinct trials and tells their rows; shared by workers, and resumed after a kill."""

import datetime
import logging
import math
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from promise.experiments.tuning.settings import Settings
from promise.experiments.tuning.storage import load_study, open_storage

log = logging.getLogger(__name__)

#: Attributes of a trial: its overrides, its worker's lock file, its row, why it failed.
OVERRIDES, WORKER, ROW, ERROR = "overrides", "worker", "row", "error"

#: TPE and NSGA-II begin with a coarse grid of half of the trials, at most so many.
MOST_FIRST = 20

#: Draws of the sampler that may be those of an earlier trial, before evenly random ones; and those, before a search.
DRAWS = 20


@dataclass
class Asked:
    """A trial that was asked for and not told yet.

    Attributes:
        trial: Optuna's.
        overrides: Its overrides.
    """

    trial: optuna.Trial
    overrides: list[str]

    @property
    def number(self) -> int:
        return self.trial.number


class Study:
    """Optuna's study of the settings, with exactly as many distinct trials as they say.

    Draws depend on the seed and on the trials so far alone. Workers on one study must share its folder; a worker is at
    work as long as it holds a lock file there, which the system lets go of however the worker ends.

    Args:
        settings: The settings.
        name: Name of the study.
        folder: Its folder, made if need be: locks, the journal, later the results.
        seed: Seed of the draws.
        identity: What all its trials share beside the settings, by name; JSON-able.
        retry_failed: Ask once more for trials that failed before.

    Raises:
        ValueError: If the storage cannot be opened, or a study of this name searches something else.
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
        with self.lock:  # workers that make one database together break it
            storage = open_storage(settings.storage, self.folder, f"{settings.where}.storage")
            made_of = {**settings.identity, **identity}
            self.study = load_study(storage, name, settings.directions, made_of, settings.where)
            self.study.pruner = make_pruner(settings)
            self.worker.acquire()
            self._enqueue(retry_failed)

    def _enqueue(self, retry_failed: bool) -> None:
        """Queue what comes before all draws: the points of a grid, and failed trials that are to be tried again."""
        settings, trials = self.settings, self.settings.trials
        most = {"grid": trials, "random": 0}.get(settings.sampler, min(MOST_FIRST, max(2, trials // 2), trials))
        known = {trial.user_attrs.get(OVERRIDES) for trial in self.trials()}
        if most and (settings.sampler == "grid" or not known):
            for point in settings.space.grid(most):
                if " ".join(settings.space.overrides(point)) not in known:
                    self._queue(point)
        if retry_failed:
            for trial in self.counted():
                if ERROR in trial.user_attrs:
                    self._queue(trial.params)

    def _queue(self, params: dict[str, Any]) -> None:
        overrides = " ".join(self.settings.space.overrides(params))
        if overrides not in {trial.user_attrs[OVERRIDES] for trial in self.waiting()}:
            self.study.enqueue_trial(params, {OVERRIDES: overrides})

    def trials(self) -> list[FrozenTrial]:
        """All trials of the storage, by number."""
        return sorted(self.study.get_trials(deepcopy=False), key=lambda trial: trial.number)

    def waiting(self) -> list[FrozenTrial]:
        """Trials in the queue."""
        return [trial for trial in self.trials() if trial.state is TrialState.WAITING]

    def counted(self) -> list[FrozenTrial]:
        """The trials that count: told or being run, of equal overrides the last one; not those of a dead worker."""
        known: dict[str, FrozenTrial] = {}
        for trial in self.trials():
            told = trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or ERROR in trial.user_attrs
            if OVERRIDES in trial.user_attrs and (told or trial.state is TrialState.RUNNING):
                known[trial.user_attrs[OVERRIDES]] = trial
        return sorted(known.values(), key=lambda trial: trial.number)

    def running(self) -> list[FrozenTrial]:
        """Trials that some worker is at."""
        return [trial for trial in self.counted() if trial.state is TrialState.RUNNING]

    def left(self) -> int:
        """How many trials are still to be asked for."""
        taken = {trial.user_attrs[OVERRIDES] for trial in self.counted()}
        waiting = [trial.user_attrs[OVERRIDES] for trial in self.waiting()]
        retries = sum(overrides in taken for overrides in waiting)
        left = min(self.settings.trials, self.settings.space.size) - len(taken)
        if self.settings.sampler == "grid":
            left = min(left, len(waiting) - retries)
        return max(0, int(left)) + retries

    def ask(self, most: int = 1) -> list[Asked]:
        """The next trials, at most so many; none when the study is done."""
        found: list[Asked] = []
        with self.lock:  # no other worker counts or asks meanwhile
            self._fail_stale()
            while len(found) < most and self.left():
                found.append(self._ask())
        return found

    def _ask(self) -> Asked:
        """A queued trial, or one drawn until it differs from all others."""
        space, taken = self.settings.space, {trial.user_attrs[OVERRIDES] for trial in self.counted()}
        for turn in range(2 * DRAWS + 1):
            if turn == 2 * DRAWS:
                points = space.grid(int(space.size)) if math.isfinite(space.size) else []
                self._queue(next(point for point in points if " ".join(space.overrides(point)) not in taken))
            self.study.sampler = self._sampler(len(taken), turn)
            trial = self.study.ask()
            trial.set_user_attr(WORKER, str(self.worker.lock_file))
            values: dict[str, Any] = {}
            for each in space.dimensions:
                # NSGA-II crosses only what every parent has, so all are drawn; those that cannot act are let be.
                if each.acts(values) or self.settings.sampler == "nsgaii":
                    values[each.name] = each.suggest(trial)
            overrides = space.overrides(values)
            if OVERRIDES in trial.user_attrs or " ".join(overrides) not in taken:
                trial.set_user_attr(OVERRIDES, " ".join(overrides))
                return Asked(trial, overrides)
            self.study.tell(trial, state=TrialState.FAIL)
        raise RuntimeError("no trial is left to draw")

    def _sampler(self, trials: int, turn: int) -> BaseSampler:
        """The sampler of the next draw; evenly random after too many draws that were taken already."""
        seed = int(np.random.SeedSequence([self.seed, trials, turn]).generate_state(1)[0])
        if self.settings.sampler == "tpe" and turn < DRAWS:
            return TPESampler(n_startup_trials=min(MOST_FIRST, max(2, self.settings.trials // 2)), seed=seed)
        if self.settings.sampler == "nsgaii" and turn < DRAWS:
            return NSGAIISampler(population_size=min(MOST_FIRST, max(2, self.settings.trials // 2)), seed=seed)
        return RandomSampler(seed=seed)

    def tell(self, asked: Asked, row: Mapping[str, Any], share: float) -> bool:
        """Tell what a trial found on a share of the users.

        Args:
            asked: The trial.
            row: Its row; one without the objectives is a failure.
            share: The share, in (0, 1].

        Returns:
            Whether it is to be run on more users.
        """
        settings = self.settings
        try:
            values, excesses = settings.values(row), settings.excesses(row)
        except ValueError as error:
            self.fail(asked, f"ValueError: {error}")
            return False
        given_up = False
        if len(settings.subsets) > 1:
            asked.trial.report(values[0], step=percent(share))
            given_up = share < 1 and asked.trial.should_prune()
        if share < 1 and not given_up:
            return True
        try:
            for name, excess in excesses.items():
                asked.trial.set_constraint(name, excess)
            asked.trial.set_user_attr(ROW, {**row})
            state = TrialState.PRUNED if given_up else TrialState.COMPLETE
            self.study.tell(asked.trial, None if given_up else values, state=state)
        except (RuntimeError, ValueError) as error:  # another worker took this one for dead
            log.warning("trial %d could not be told: %s", asked.number, error)
            return False
        found = ", ".join(f"{name} {value:.4g}" for name, value in zip(settings.objectives, values, strict=True))
        above = [name for name, excess in excesses.items() if excess > 0]
        found += f" of {row['users']} users: given up" if given_up else ""
        found += f", above the ceiling of {', '.join(above)}" if above else ""
        log.info("trial %d: %s: %s", asked.number, " ".join(asked.overrides), found)
        return False

    def fail(self, asked: Asked, error: str) -> None:
        """Tell that a trial failed, and why."""
        asked.trial.set_user_attr(ERROR, error)
        self.study.tell(asked.trial, state=TrialState.FAIL)
        log.error("trial %d: %s failed: %s", asked.number, " ".join(asked.overrides), error)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the trials that were told, each with its number, status and error."""
        status = {TrialState.COMPLETE: "done", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
        return [
            {
                **(
                    trial.user_attrs.get(ROW)
                    or {n: v for n, v in trial.params.items() if f"{n}=" in trial.user_attrs[OVERRIDES]}
                ),
                "trial": trial.number,
                "status": status[trial.state],
                "error": trial.user_attrs.get(ERROR),
            }
            for trial in self.counted()
            if trial.state in status
        ]

    def close(self) -> None:
        """Let others know that this worker is gone."""
        self.worker.release()
        Path(self.worker.lock_file).unlink(missing_ok=True)

    def _fail_stale(self) -> None:
        """Tell FAIL for the trials of workers that are gone, and queue them again."""
        for trial in self.trials():
            if trial.state is TrialState.RUNNING and self._is_stale(trial):
                self.study.tell(trial.number, state=TrialState.FAIL)
                log.warning("trial %d was left by a worker that is gone; it is tried again", trial.number)
                if OVERRIDES in trial.user_attrs:
                    self._queue(trial.params)

    def _is_stale(self, trial: FrozenTrial) -> bool:
        """Whether the worker of a running trial is gone; False where that can't be known."""
        if WORKER not in trial.user_attrs:  # its worker died before it could sign
            began = trial.datetime_start
            return began is not None and datetime.datetime.now() - began > datetime.timedelta(minutes=1)
        path = Path(trial.user_attrs[WORKER])
        if path == Path(self.worker.lock_file):
            return False
        if not path.name.startswith(f"{socket.gethostname()}-"):
            path = self.folder / "workers" / path.name  # machines may share a file system, under another name
            if not path.exists():
                return False
        try:
            with FileLock(path, timeout=0):
                path.unlink(missing_ok=True)
        except Timeout:
            return False
        return True


def make_pruner(settings: Settings) -> optuna.pruners.BasePruner:
    """Optuna's pruner of the settings."""
    if settings.pruner == "median":
        return optuna.pruners.MedianPruner()
    if settings.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=percent(settings.subsets[0]), reduction_factor=2)
    return optuna.pruners.NopPruner()


def percent(share: float) -> int:
    """A share of the users as the step of a report."""
    return max(1, int(100 * share))
