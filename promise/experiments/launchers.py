"""Points as jobs of a Hydra launcher: each leaves a row or an error in the store; workers end with their parent."""

import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any, cast

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, configure_log
from hydra.experimental.callback import Callback
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from promise.experiments.grid import SweepPoint
from promise.experiments.pipelines import Pipelines
from promise.experiments.point_outcome import point_outcome
from promise.pipeline.errors import own_words
from promise.pipeline.verb import choices

log = logging.getLogger(__name__)

#: Pipelines that the jobs of one worker process share.
PIPELINES = Pipelines()


class PointJob:
    """One point as the task of a Hydra job.

    Args:
        given: Overrides of the whole sweep, which come first among those of a job.
    """

    def __init__(self, given: Sequence[str]) -> None:
        self.given = list(given)

    def __call__(self, cfg: DictConfig) -> str | None:
        """Run the point; its row or error is in the store. Returns its error, or None."""
        overrides = list(HydraConfig.get().overrides.task)[len(self.given) :]
        return point_outcome(SweepPoint(overrides, cfg, choices()), PIPELINES.of(cfg)).error


class WorkerCallback(Callback):
    """Makes worker processes end with the process that launched them, however that one ends."""

    def __init__(self) -> None:
        self.parent = os.getpid()

    def on_job_start(self, config: DictConfig, *, task_function: Any, **others: Any) -> None:
        if os.getppid() == self.parent and not any(each.name == WATCH for each in threading.enumerate()):
            threading.Thread(target=end_with, args=(self.parent,), name=WATCH, daemon=True).start()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **others: Any) -> None:
        """Nothing; launchers call it."""


#: Name of the thread that watches a worker's parent.
WATCH = "promise-parent"


def end_with(parent: int) -> None:
    """Kill this process as soon as its parent is gone: another process is its parent then."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def in_this_process() -> bool:
    """Whether the launcher chosen is Hydra's own, which runs one job after the other here."""
    return str(HydraConfig.get().launcher["_target_"]).endswith(".BasicLauncher")


def launch(points: Sequence[SweepPoint]) -> None:
    """Run points through the launcher that the config chose, and wait for them; within a Hydra app.

    A worker that dies takes none of the other points' rows with it: they are in the store.
    """
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    own = HydraConfig.get()
    overrides = own.overrides
    given = list(overrides.task)
    config = hydra.compose_config(
        "config", [*overrides.hydra, *given], run_mode=RunMode.MULTIRUN, with_log_configuration=False
    )
    context = HydraContext(hydra.config_loader, cast(Any, WorkerCallback()))
    launcher = Plugins.instance().instantiate_launcher(context, PointJob(given), config)
    try:
        jobs = launcher.launch([[*given, *point.overrides] for point in points], initial_job_idx=0)
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
