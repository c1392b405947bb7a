"""A study: which dials to try next, told what each trial found; shared by workers, and resumed after a kill."""

import datetime
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from promise.experiments.tuning.settings import Settings
from promise.experiments.tuning.storage import load_study, open_storage
from promise.experiments.tuning.workers import Worker

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

#: Attributes of a trial: its overrides, its worker's lock file, its row, why it failed, whether its worker died.
WORDS, WORKER, ROW, ERROR, STALE = "overrides", "worker", "row", "error", "stale"

#: TPE and NSGA-II begin with a coarse grid of half of the trials, at most so many.
MOST_FIRST = 20


@dataclass
class Asked:
    """A trial that was asked for and not told yet.

    Attributes:
        trial: Optuna's.
        words: Its overrides.
    """

    trial: "optuna.Trial"
    words: list[str]

    @property
    def number(self) -> int:
        return self.trial.number


class Study:
    """Optuna's study of the settings, with exactly as many distinct trials as they say.

    Draws depend on the seed and on the trials so far alone: one worker that is killed and started again goes on with
    the dials that it would have drawn. Workers on one study must share its folder.

    Args:
        settings: The settings.
        name: Name of the study.
        folder: Its folder, made if need be: locks, the journal, later the results.
        seed: Seed of the draws.
        retry_failed: Ask once more for trials that failed before.

    Raises:
        ValueError: If the storage cannot be opened.
    """

    def __init__(self, settings: Settings, name: str, folder: Path, seed: int, retry_failed: bool = False) -> None:
        self.settings = settings
        self.name = name
        self.folder = folder
        self.seed = seed
        self.retry_failed = retry_failed
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(folder / ".study.lock")
        with self.lock:  # workers that make one database together break it
            self.storage = open_storage(settings.storage, folder, f"{settings.where}.storage")

    def begin(self, shared: Mapping[str, Any]) -> None:
        """Load the study, or make it.

        Args:
            shared: What all its trials share beside the settings, by name; JSON-able.

        Raises:
            ValueError: If a study of this name searches something else.
        """
        settings = self.settings
        with self.lock:
            self.study = load_study(
                self.storage, self.name, settings.directions, {**settings.identity, **shared}, settings.where
            )
            self.study.pruner = self._pruner()
            self.worker = Worker(self.folder / "workers")
            self._fail_stale()
            failed = [trial for trial in self.counted() if ERROR in trial.user_attrs and self.retry_failed]
            self.retries = {trial.user_attrs[WORDS]: dict(trial.params) for trial in failed}

    @cached_property
    def grid(self) -> list[dict[str, Any]]:
        """The points of `sampler=grid`; for TPE and NSGA-II a coarse one, which they go on from; none at random."""
        trials = self.settings.trials
        most = {"grid": trials, "random": 0}.get(self.settings.sampler, min(MOST_FIRST, max(2, trials // 2)))
        return self.settings.space.grid(most) if most else []

    def trials(self) -> list["FrozenTrial"]:
        """All trials of the storage, by number."""
        return sorted(self.study.get_trials(deepcopy=False), key=lambda trial: trial.number)

    def counted(self) -> list["FrozenTrial"]:
        """The trials that count: not those of a worker that died; of equal dials the last one."""
        known: dict[str, FrozenTrial] = {}
        for trial in self.trials():
            told = trial.state.name in ("COMPLETE", "PRUNED") or ERROR in trial.user_attrs
            if WORDS in trial.user_attrs and (told or trial.state.name == "RUNNING"):
                known[trial.user_attrs[WORDS]] = trial
        return sorted(known.values(), key=lambda trial: trial.number)

    def running(self) -> list["FrozenTrial"]:
        """Trials that some worker is at."""
        return [trial for trial in self.counted() if trial.state.name == "RUNNING"]

    def left(self) -> int:
        """How many trials are still to be asked for."""
        taken = {trial.user_attrs[WORDS] for trial in self.counted()}
        left = min(self.settings.trials, self.settings.space.size) - len(taken)
        if self.settings.sampler == "grid":
            left = min(left, sum(" ".join(self.settings.space.words(point)) not in taken for point in self.grid))
        return max(0, int(left)) + len(self.retries)

    def ask(self, most: int = 1) -> list[Asked]:
        """The next trials, at most so many; none when the study is done."""
        found: list[Asked] = []
        with self.lock:  # no other worker counts or asks meanwhile
            self._fail_stale()
            failed = {trial.user_attrs[WORDS] for trial in self.counted() if ERROR in trial.user_attrs}
            self.retries = {words: values for words, values in self.retries.items() if words in failed}
            while len(found) < most and self.left():
                found.append(self._ask())
        return found

    def _ask(self) -> Asked:
        from promise.experiments.tuning.distinct_sampler import DistinctSampler, make_sampler

        settings, taken = self.settings, {trial.user_attrs[WORDS] for trial in self.counted()}
        seed = int(np.random.SeedSequence([self.seed, len(taken)]).generate_state(1)[0])
        grid = self.grid
        if self.retries:
            words, values = next(iter(self.retries.items()))
            del self.retries[words]
            taken, grid = taken - {words}, [values]
        inner = make_sampler(settings.sampler, len(self.grid), seed)
        self.study.sampler = DistinctSampler(inner, settings.space, taken, grid, seed)
        trial = self.study.ask()
        trial.set_user_attr(WORKER, str(self.worker.path))
        values = {}
        for dial in settings.space.dials:
            if dial.acts(values) or (inner is not None and self.study.sampler.whole):
                values[dial.name] = dial.suggested(trial)
        words_of_trial = settings.space.words(values)
        trial.set_user_attr(WORDS, " ".join(words_of_trial))
        return Asked(trial, words_of_trial)

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
        except RuntimeError as error:  # another worker took this one for dead
            log.warning("trial %d could not be told: %s", asked.number, error)
            return False
        found = ", ".join(f"{name} {value:.4g}" for name, value in zip(settings.objectives, values, strict=True))
        above = [name for name, excess in excesses.items() if excess > 0]
        if given_up:
            self._tell(asked, "PRUNED")
            found += f" of {row['users']} users: given up"
        else:
            self._tell(asked, "COMPLETE", values)
            found += f", above the ceiling of {', '.join(above)}" if above else ""
        log.info("trial %d: %s: %s", asked.number, " ".join(asked.words), found)
        return False

    def fail(self, asked: Asked, error: str) -> None:
        """Tell that a trial failed, and why."""
        asked.trial.set_user_attr(ERROR, error)
        self._tell(asked, "FAIL")
        log.error("trial %d: %s failed: %s", asked.number, " ".join(asked.words), error)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the trials that were told, each with its number, status and error."""
        status = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed"}
        return [
            {
                **(trial.user_attrs.get(ROW) or self.settings.space.acting(trial.params)),
                "trial": trial.number,
                "status": status[trial.state.name],
                "error": trial.user_attrs.get(ERROR),
            }
            for trial in self.counted()
            if trial.state.name in status
        ]

    def close(self) -> None:
        """Let others know that this worker is gone."""
        self.worker.leave()

    def _tell(self, asked: Asked, state: str, values: list[float] | None = None) -> None:
        from optuna.trial import TrialState

        try:
            self.study.tell(asked.trial, values, state=TrialState[state])
        except (RuntimeError, ValueError) as error:  # another worker took this one for dead
            log.warning("trial %d could not be told: %s", asked.number, error)

    def _fail_stale(self) -> None:
        """Tell FAIL for the trials of workers that are gone, so that nobody waits for them."""
        from optuna.trial import Trial, TrialState

        for trial in self.trials():
            if trial.state is not TrialState.RUNNING:
                continue
            path, began = trial.user_attrs.get(WORKER), trial.datetime_start
            if path is None:  # its worker died before it could sign
                gone = began is not None and datetime.datetime.now() - began > datetime.timedelta(minutes=1)
            else:
                gone = Path(path) != self.worker.path and self.worker.is_dead(Path(path))
            if gone:
                Trial(self.study, trial._trial_id).set_user_attr(STALE, True)
                self.study.tell(trial.number, state=TrialState.FAIL)
                log.warning("trial %d was left by a worker that is gone; its dials are free again", trial.number)

    def _pruner(self) -> "optuna.pruners.BasePruner":
        import optuna

        if self.settings.pruner == "median":
            return optuna.pruners.MedianPruner()
        if self.settings.pruner == "halving":
            return optuna.pruners.SuccessiveHalvingPruner(
                min_resource=percent(self.settings.subsets[0]), reduction_factor=2
            )
        return optuna.pruners.NopPruner()


def percent(share: float) -> int:
    """A share of the users as the step of a report."""
    return max(1, int(100 * share))
