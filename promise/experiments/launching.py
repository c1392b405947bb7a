"""Points handed to a Hydra launcher: each is a job of a worker, which leaves a row or an error in the store."""

import logging
from collections.abc import Sequence
from typing import cast

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import configure_log
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from promise.experiments.attempts import attempt
from promise.experiments.grid import SweepPoint
from promise.experiments.sharing import Pipelines
from promise.pipeline.errors import own_words
from promise.pipeline.verb import choices

log = logging.getLogger(__name__)

#: What the jobs of one worker process share.
PIPELINES = Pipelines()


class Job:
    """One point as the task of a Hydra job.

    Args:
        given: Overrides of the whole sweep, which come first among those of a job.
    """

    def __init__(self, given: Sequence[str]) -> None:
        self.given = list(given)

    def __call__(self, cfg: DictConfig) -> str | None:
        """Try the point; what becomes of it is in the store. Returns its error, or None."""
        words = list(HydraConfig.get().overrides.task)[len(self.given) :]
        point = SweepPoint(words, cfg, choices())
        return attempt(point, PIPELINES.of(cfg)).error


def in_this_process() -> bool:
    """Whether the launcher chosen is Hydra's own, which runs one job after the other here."""
    return str(HydraConfig.get().launcher["_target_"]).endswith(".BasicLauncher")


def launch(points: Sequence[SweepPoint], first_job: int) -> None:
    """Run points through the launcher that the config chose, and wait for them; within a Hydra app.

    A worker that dies takes none of the other points' rows with it: they are in the store.

    Args:
        points: What to run.
        first_job: Number of the first job, which names its folder.
    """
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    own = HydraConfig.get()
    overrides = own.overrides
    given = list(overrides.task)
    config = hydra.compose_config(
        "config", [*overrides.hydra, *given], run_mode=RunMode.MULTIRUN, with_log_configuration=False
    )
    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
    launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=Job(given), config=config)
    try:
        jobs = launcher.launch([[*given, *point.words] for point in points], initial_job_idx=first_job)
        for point, job in zip(points, jobs, strict=True):
            if isinstance(job._return_value, BaseException):
                log.error("the job of point %s ended: %s", point.name, own_words(job._return_value))
    except Exception as error:  # each launcher has its own for a worker that died
        log.error("the launcher ended: %s: %s", type(error).__name__, own_words(error))
    finally:
        # Launchers leave their own logging behind; submitit even cuts off handlers that it does not know.
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler) and handler.baseFilename.startswith(own.runtime.output_dir):
                handler.close()
        configure_log(cast(DictConfig, own.job_logging), own.verbose)
