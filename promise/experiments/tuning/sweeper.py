"""Hydra's multirun as a study (`hydra/sweeper=promise_optuna`): Optuna asks, any launcher runs, rows are told."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import TaskFunction
from omegaconf import DictConfig

from promise import configs
from promise.experiments.tuning.run import check_space, conduct, study_identity
from promise.experiments.tuning.settings import Settings
from promise.experiments.tuning.study import Asked, Study
from promise.pipeline.config import without_passwords
from promise.pipeline.errors import BAD_INPUT, ending_checks, own_words
from promise.pipeline.verb import config_folder


class JobFailed(Exception):
    """A job ended with one of our own checks, which it has told already."""


class TrialJob:
    """A verb as a job of a study: a check that fails ends the job and not the study."""

    def __init__(self, task: TaskFunction) -> None:
        self.task = task

    def __call__(self, cfg: DictConfig) -> Any:
        try:
            return self.task(cfg)
        except SystemExit as stop:
            if stop.code != BAD_INPUT:
                raise
            raise JobFailed(own_words(stop.__context__ or stop)) from None


def sweep(config: DictConfig, launcher: Launcher, arguments: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Run what is left of a study, and tell what it found: on the last line of stdout, which is returned too.

    Raises:
        SystemExit: With exit code 2, after one line, if what was asked for is wrong.
    """
    with ending_checks(), as_in_a_job(config):
        if (verb := os.environ.get("PROMISE_VERB", "evaluate")) != "evaluate":
            raise ValueError(f"hydra/sweeper=promise_optuna is for promise evaluate, got promise {verb}")
        parsed = OverridesParser.create().parse_overrides(list(arguments))
        fixed = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
        swept = {override.get_key_element(): entry(override) for override in parsed if override.is_sweep_override()}
        settings = Settings.of({**given, "space": {**(given["space"] or {}), **swept}}, "hydra.sweeper")
        check_space(settings, fixed)
        cfg, _ = configs.composed(fixed)
        folder = Path(config.hydra.sweep.dir)
        if settings.name is not None:
            folder = Path(cfg.store) / "studies" / settings.name
        cfg.sweep.name = settings.name or folder.name
        told = ("hydra.mode=", "hydra.searchpath=")  # by -m, and with --config-dir
        own = [word for word in config.hydra.overrides.hydra if not word.startswith(told)]
        typed = f"promise evaluate -m {shlex.join([*config_folder(), *without_passwords([*own, *arguments])])}"
        with closing(Study(settings, cfg.sweep.name, folder, cfg.seed, study_identity(settings, cfg))) as study:
            run_jobs = partial(launch, launcher, study, fixed)
            result = {"verb": "evaluate", **conduct(study, fixed, run_jobs, cfg, typed)}
        print(json.dumps(result), flush=True)
        return result


@contextmanager
def as_in_a_job(config: DictConfig) -> Iterator[None]:
    """Let Hydra's own config be read, which it sets for jobs alone: what composes and shows commands asks it."""
    known = HydraConfig.instance()
    before = known.cfg
    known.set_config(config)
    try:
        yield
    finally:
        known.cfg = before


def launch(
    launcher: Launcher, study: Study, given: Sequence[str], trials: Sequence[Asked]
) -> list[dict[str, Any] | Exception]:
    """Rows of trials, or what they raised: jobs, side by side where the launcher can, in folders of their numbers."""
    jobs = []
    for asked in trials:
        own = [f"hydra.sweep.subdir={asked.number}", f"sweep.name={study.name}", f"sweep.trial={asked.number}"]
        jobs.append([*given, *asked.overrides, *own])
    return [outcome(job) for job in launcher.launch(jobs, initial_job_idx=trials[0].number)]


def outcome(job: JobReturn) -> dict[str, Any] | Exception:
    """The row of a job, or what it raised."""
    found = job._return_value  # the property would print what was printed already, and raise
    if job.status is JobStatus.COMPLETED:
        row: dict[str, Any] = json.loads(Path(found["paths"]["row"]).read_text("utf-8"))
        return row
    return found if isinstance(found, Exception) else RuntimeError(f"the job ended as {job.status.name}")


def entry(override: Override) -> dict[str, Any]:
    """Several values of the command line as an entry of the space; ValueError if no study has their kind."""
    sweep = override.value()
    if isinstance(sweep, ChoiceSweep):
        texts = [each.text if isinstance(each, QuotedString) else each for each in sweep.list]
        return {"type": "categorical", "choices": texts}
    if isinstance(sweep, IntervalSweep):
        kind = "int" if isinstance(sweep.start, int) else "float"
        return {"type": kind, "low": sweep.start, "high": sweep.end, "log": "log" in sweep.tags}
    if isinstance(sweep, RangeSweep) and (values := sorted(sweep.range())):
        kind = "int" if isinstance(values[0], int) else "float"
        spacing = {"log": True} if "log" in sweep.tags else {"step": abs(sweep.step)}
        return {"type": kind, "low": values[0], "high": values[-1], **spacing}
    raise ValueError(f"hydra.sweeper.space: {override.input_line} gives no choices and no range")
