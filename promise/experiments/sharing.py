"""One pipeline for all points whose data, IDs and networks agree: what is loaded for one serves the next."""

from omegaconf import DictConfig, OmegaConf

from promise.pipeline.stages import Pipeline

#: What a pipeline reads anew whenever it is asked: points that differ in nothing else share it.
READ_ANEW = ("search", "evaluation", "split", "sweep", "analysis", "predictions", "hydra")


class Pipelines:
    """Gives every config its pipeline, and keeps the last one.

    Attributes:
        built: Names of the stages that were built, in order, each once.
    """

    def __init__(self) -> None:
        self._built: list[str] = []
        self._pipeline: Pipeline | None = None
        self._known = ""

    def of(self, cfg: DictConfig) -> Pipeline:
        """The pipeline of a checked root config."""
        values = OmegaConf.to_container(cfg, resolve=True)
        assert isinstance(values, dict)
        known = repr([(name, value) for name, value in values.items() if name not in READ_ANEW])
        if self._pipeline is None or known != self._known:
            self._built = self.built
            self._pipeline, self._known = Pipeline(cfg), known
        self._pipeline.cfg = cfg
        return self._pipeline

    @property
    def built(self) -> list[str]:
        now = self._pipeline.built if self._pipeline else []
        return list(dict.fromkeys([*self._built, *now]))
