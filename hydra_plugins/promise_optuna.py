"""Where Hydra looks for `hydra/sweeper=promise_optuna`: it takes plugins from this namespace alone."""

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Hydra's multirun as a study.

    Args:
        settings: Those of `sweep.study` (conf/study/optuna.yaml); sweeps on the command line add to the space.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.launcher: Launcher | None = None
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from promise.experiments.tuning.sweeper import TrialJob

        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, TrialJob(task_function), config)

    def sweep(self, arguments: list[str]) -> dict[str, Any]:
        """Run what is left of the study, and tell what it found as `promise sweep` does."""
        from promise.experiments.tuning.sweeper import sweep

        assert self.config is not None and self.launcher is not None
        return sweep(self.config, self.launcher, arguments, self.settings)
