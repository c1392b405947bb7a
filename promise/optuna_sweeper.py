"""The Hydra sweeper over Optuna's ask and tell: `promise evaluate -m hydra/sweeper=promise_optuna`, with any launcher."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

log = logging.getLogger(__name__)


class JobFailed(Exception):
    """A job ended with one of our own checks, which it has told already."""


class Job:
    """A verb as a job of a study: a check that fails ends the job and not the study.

    Args:
        task: The verb.
    """

    def __init__(self, task: TaskFunction) -> None:
        self.task = task

    def __call__(self, cfg: DictConfig) -> Any:
        try:
            return self.task(cfg)
        except SystemExit as stop:
            raise JobFailed(str(stop.__context__ or f"exit code {stop.code}")) from None


class OptunaSweeper(Sweeper):
    """Hydra's multirun as a study; its settings are those of `sweep.study` (conf/study/optuna.yaml).

    Sweeps on the command line add to the space: `search=plain,guided` is a choice, `search.width=range(10,101)` whole
    numbers below 101 as everywhere in Hydra, `search.weight=interval(0,1)` a float; `tag(log, …)` and `int(…)` work.

    Args:
        name: Name of the study; None = a new one in the folder of the multirun.
        storage: `journal`, or the URL of a database.
        sampler: tpe, nsgaii, random or grid.
        trials: Distinct trials, over all workers and restarts.
        parallel: Trials launched at once.
        objectives: One or two columns of a row.
        directions: One for each.
        reference: Worst corner of the hypervolume.
        space: Dial -> its range or choices.
        constraints: Cost -> its ceiling.
        pruner: none, median or halving.
        subsets: Shares of `evaluation.users` after which a trial may be given up.
    """

    def __init__(
        self,
        name: str | None,
        storage: str,
        sampler: str,
        trials: int,
        parallel: int,
        objectives: Sequence[str],
        directions: Sequence[str],
        reference: Sequence[float | None],
        space: dict[str, Any],
        constraints: dict[str, float],
        pruner: str,
        subsets: Sequence[float],
    ) -> None:
        self.given = {name: value for name, value in locals().items() if name != "self"}
        self.launcher: Launcher | None = None
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=Job(task_function), config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run what is left of the study; tell what it found as `promise sweep` does.

        Args:
            arguments: Overrides; those that sweep are dials of the study.

        Raises:
            SystemExit: With exit code 2, after one line, if what was asked for is wrong.
        """
        from promise.multirun_study import MultirunStudy
        from promise.pipeline.verb import ending_checks

        assert self.config is not None and self.launcher is not None
        overrides = OverridesParser.create().parse_overrides(arguments)
        given = [str(o.input_line) for o in overrides if not o.is_sweep_override()]
        with ending_checks():
            space = {o.get_key_element(): entry(o) for o in overrides if o.is_sweep_override()}
            settings = {name: plain(value) for name, value in self.given.items()}
            settings["space"] = {**(settings["space"] or {}), **space}
            return MultirunStudy(self.config, self.launcher, given, settings).run()
