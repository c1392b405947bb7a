"""One pipeline for all points whose data, IDs and networks agree: what is loaded for one serves the next."""

from omegaconf import DictConfig

from promise.pipeline.config import plain
from promise.pipeline.stages import Pipeline

#: Keys that a pipeline reads anew whenever it is asked: points that differ in nothing else share it.
READ_ANEW = ("search", "evaluation", "split", "sweep", "analysis", "predictions")


def pipeline_key(cfg: DictConfig) -> str:
    """Equal for configs that share a pipeline."""
    return repr([(name, value) for name, value in plain(cfg).items() if name not in READ_ANEW])


class Pipelines:
    """Pipelines by config; the last one is kept.

    Attributes:
        built: Names of the stages that they built, in order.
    """

    def __init__(self) -> None:
        self.built: list[str] = []
        self._pipeline: Pipeline | None = None
        self._key = ""

    def of(self, cfg: DictConfig) -> Pipeline:
        """The pipeline of a checked root config."""
        key = pipeline_key(cfg)
        if self._pipeline is None or key != self._key:
            self._pipeline, self._key = Pipeline(cfg), key
            self._pipeline.built = self.built
        self._pipeline.cfg = cfg
        return self._pipeline
