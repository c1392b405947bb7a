"""`promise sweep +sweeps=tune`: a study of Optuna's in place of grids, its trials run one after the other here."""

import logging
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from promise.experiments.grid import compose_checked, require_name
from promise.experiments.identity import short_hash
from promise.experiments.pipelines import Pipelines
from promise.experiments.tuning.run import check_space, conduct, study_identity
from promise.experiments.tuning.settings import Settings
from promise.experiments.tuning.study import Asked, Study
from promise.pipeline.config import plain
from promise.pipeline.errors import is_check
from promise.pipeline.points import Point

log = logging.getLogger(__name__)


class Trials:
    """Runs trials in this process; networks that stay the same are loaded once.

    Args:
        given: Overrides of all trials.
        where: Name of the space in its config, for errors.

    Attributes:
        pipelines: Pipelines that the trials share.
    """

    def __init__(self, given: Sequence[str], where: str) -> None:
        self.given = list(given)
        self.where = where
        self.pipelines = Pipelines()

    def point(self, overrides: Sequence[str]) -> Point:
        """The point of a trial."""
        cfg, chosen = compose_checked([*self.given, *overrides], self.where)
        return Point(self.pipelines.of(cfg), cfg.search, chosen, " ".join(overrides))

    def launch(self, trials: Sequence[Asked]) -> list[dict[str, Any] | Exception]:
        """Rows of trials, or what they raised."""
        outcomes: list[dict[str, Any] | Exception] = []
        for asked in trials:
            try:
                outcomes.append(self.point(asked.overrides).result()[0].row)
            except Exception as error:
                if not is_check(error):
                    log.error("%s", "".join(traceback.format_exception(error)))
                outcomes.append(error)
        return outcomes


def run(cfg: DictConfig) -> dict[str, Any]:
    """Run what is left of the study that `sweep.study` describes, then write what it found.

    Raises:
        ValueError: If an option or the space is wrong: before any training.
    """
    require_name(cfg)
    settings = Settings.of(plain(cfg.sweep.study), "sweep.study")
    given = list(HydraConfig.get().overrides.task)
    corners = check_space(settings, given)
    identity = study_identity(settings, cfg)
    data = HydraConfig.get().runtime.choices["data"]
    made_of = short_hash([settings.identity, identity])
    name = settings.name or f"{data}-{cfg.split}-{cfg.seed}-{settings.sampler}-{made_of}"
    folder = Path(cfg.store) / "sweeps" / str(cfg.sweep.name) / name
    study = Study(settings, name, folder, cfg.seed, identity, cfg.retry_failed)
    try:
        trials = Trials(given, f"{settings.where}.space")
        first = trials.point(corners[0])
        first.pipeline.check_inputs()
        if study.left():
            first.key()  # networks are trained before the first trial, or never
        told = conduct(study, given, trials.launch, cfg)
    finally:
        study.close()
    return {"verb": "sweep", "name": cfg.sweep.name, **told, "trained": [*dict.fromkeys(trials.pipelines.built)]}
