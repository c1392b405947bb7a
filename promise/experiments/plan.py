"""What a sweep would do: which points and artifacts are there, and which networks are still to be trained."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from promise.experiments.attempts import Failure
from promise.experiments.grid import SweepPoint
from promise.experiments.sharing import Pipelines
from promise.pipeline.config import plain, trainings
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline
from promise.pipeline.store import Artifact, NotBuilt
from promise.pipeline.trainings import SASRecTraining, training_name, training_stage

#: What names networks whose inputs are not there yet.
RECIPE = ("data", "embeddings", "ids", "generator", "reward", "sasrec", "datamodule", "checkpoint_selection", "trainer")


@dataclass(frozen=True)
class Network:
    """Networks that a point needs: one training.

    Attributes:
        name: Of the training: joint, generator, reward or sasrec.
        key: Equal for equal networks.
        there: Whether they are trained.
    """

    name: str
    key: str
    there: bool


@dataclass(frozen=True)
class Planned:
    """A point before it is run.

    Attributes:
        point: The point.
        state: `there` (its row is), `failed` (at an earlier start, and not tried again) or `to run`.
        error: What it failed with.
        networks: Those it needs, in the order of their training.
    """

    point: SweepPoint
    state: str
    error: str | None
    networks: tuple[Network, ...]

    @property
    def missing(self) -> set[str]:
        """Keys of networks that must be trained before it is searched for."""
        return {network.key for network in self.networks if not network.there}


def plan(points: Iterable[SweepPoint]) -> list[Planned]:
    """Look every point up in its store; nothing is built, trained or written."""
    pipelines = Pipelines()
    return [planned(point, pipelines.of(refusing(point.cfg))) for point in points]


def refusing(cfg: DictConfig) -> DictConfig:
    """The config of one that builds nothing."""
    changed = OmegaConf.merge(cfg, {"build": "never"})
    assert isinstance(changed, DictConfig)
    return changed


def planned(point: SweepPoint, pipeline: Pipeline) -> Planned:
    """Look one point up, through a pipeline that builds nothing."""
    search = Point(pipeline, point.cfg.search, point.chosen)
    networks = tuple(networks_of(search))
    error = None if point.cfg.retry_failed else Failure(point.cfg).error
    if error is not None:
        return Planned(point, "failed", error, networks)
    try:
        found = search.find()
    except ValueError:  # something before it is not there, or the point is wrong, which its attempt will tell
        found = None
    return Planned(point, "there" if found else "to run", None, networks)


def networks_of(search: Point) -> list[Network]:
    """The trainings that a search needs, in order; none where networks are given or it asks none."""
    pipeline, found = search.pipeline, []
    before: Artifact | None = None
    if "sasrec" in search.accepts:
        found.append(network(pipeline, "sasrec", lambda: SASRecTraining(pipeline), {})[0])
    if search.with_networks and pipeline.cfg.checkpoint is None:
        for settings in trainings(pipeline.cfg):
            name = training_name(settings)
            if found and not found[-1].there:  # what it starts from is not trained, so nothing can name it but that
                found.append(Network(name, f"{name} after {found[-1].key}", False))
                continue
            start = before
            one, before = network(pipeline, name, lambda s=settings, b=start: training_stage(pipeline, s, b), settings)
            found.append(one)
    return found


def network(pipeline: Pipeline, name: str, make_fit: Any, settings: dict[str, Any]) -> tuple[Network, Artifact | None]:
    """One training, and its result if it is there."""
    try:
        fit = make_fit()
        key = pipeline.store.key(fit.name, fit.config, fit.inputs, fit.version)
    except NotBuilt:
        recipe = {group: plain(pipeline.cfg[group]) for group in RECIPE} | {"seed": pipeline.cfg.seed}
        key = pipeline.store.key(name, {**recipe, "task": settings}, {}, 0)
        return Network(name, f"recipe of {key}", False), None
    kept = pipeline.store.find(key)
    return Network(name, key, kept is not None), kept


def prepared(pipeline: Pipeline) -> list[Network]:
    """The stages before the networks, as far as their names are known, through a pipeline that builds nothing."""
    stages: dict[str, Callable[[], Artifact | None]] = {
        "data": lambda: pipeline.data,
        "embeddings": lambda: pipeline.embeddings,
    }
    if pipeline.cfg.ids.path is None:
        stages["ids"] = lambda: pipeline.store.find(pipeline.ids_path.parent.name)
    found = []
    stages |= {"content": lambda: pipeline.content, "cooccurrence": lambda: pipeline.cooccurrence}
    for name, stage in stages.items():
        try:
            if kept := stage():  # neither content nor counts, where the config has none
                found.append(Network(name, kept.path.name, True))
        except NotBuilt:
            found.append(Network(name, "", False))
    return found


def first_of_each(plans: Sequence[Planned]) -> list[SweepPoint]:
    """Points that between them need every missing network, each of them for a network that no earlier one needs."""
    covered: set[str] = set()
    first = []
    for each in plans:
        if each.state == "to run" and each.missing - covered:
            covered |= each.missing
            first.append(each.point)
    return first
