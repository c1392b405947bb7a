"""Where Hydra looks for `hydra/sweeper=promise_optuna`: it takes plugins from this namespace alone."""

from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Hydra's multirun as a study; its settings are those of `sweep.study` (conf/study/optuna.yaml).

    Args:
        name: Name of the study; None = a new one in the folder of the multirun.
        storage: `journal`, or the URL of a database.
        sampler: tpe, nsgaii, random or grid.
        trials: Distinct trials, over all workers and restarts.
        parallel: Trials launched at once.
        objectives: One or two columns of a row.
        directions: One for each.
        reference: Worst corner of the hypervolume.
        space: Dial -> its range or choices; sweeps on the command line add to it.
        constraints: Cost -> its ceiling.
        pruner: none, median or halving.
        subsets: Shares of the users after which a trial may be given up.
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
        self.settings = {name: value for name, value in locals().items() if name != "self"}
        self.launcher: Launcher | None = None
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from promise.optuna_sweeper import Job

        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, Job(task_function), config)

    def sweep(self, arguments: list[str]) -> dict[str, Any]:
        """Run what is left of the study, and tell what it found as `promise sweep` does.

        Args:
            arguments: Overrides; those that sweep are dials of the study.

        Raises:
            SystemExit: With exit code 2, after one line, if what was asked for is wrong.
        """
        from promise.optuna_sweeper import sweep

        assert self.config is not None and self.launcher is not None
        return sweep(self.config, self.launcher, arguments, self.settings)
