"""A point of a sweep, run: its row, or its error, which the store keeps so that it isn't tried again."""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from promise.experiments.grid import SweepPoint
from promise.experiments.identity import data_label, identity
from promise.pipeline.config import data_name, plain
from promise.pipeline.errors import is_check, own_words
from promise.pipeline.files import written_whole
from promise.pipeline.model_folder import digest
from promise.pipeline.points import Point, PointResult, seen_of
from promise.pipeline.stages import Pipeline

log = logging.getLogger(__name__)

#: Keys that a pipeline reads anew whenever it is asked: points that differ in nothing else share it.
READ_ANEW = ("search", "evaluation", "split", "sweep", "analysis", "predictions")


class Pipelines:
    """Pipelines by config, the last one kept: what is loaded for a point serves the next; `built` names all stages."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self._pipeline: Pipeline | None = None
        self._key = ""

    def of(self, cfg: DictConfig) -> Pipeline:
        """The pipeline of a checked root config."""
        key = repr([(name, value) for name, value in plain(cfg).items() if name not in READ_ANEW])
        if self._pipeline is None or key != self._key:
            self._pipeline, self._key = Pipeline(cfg), key
            self._pipeline.built = self.built
        self._pipeline.cfg = cfg
        return self._pipeline


@dataclass(frozen=True)
class PointOutcome:
    """Row or error of a point."""

    point: SweepPoint
    row: dict[str, Any]  # its row for the table, a failed one too
    result: PointResult | None = None  # what was measured; None where it failed
    error: str | None = None  # `TypeName: message` on one line; None where it did not fail


class Failure:
    """Record of a point that failed, by everything its figures depend on and its logger."""

    def __init__(self, point: SweepPoint) -> None:
        self.point = point

    @cached_property
    def path(self) -> Path:
        """The file of the record; ValueError if an input file is missing."""
        logger = {name: value for name, value in plain(self.point.cfg.logger).items() if name != "save_dir"}
        return Path(self.point.cfg.store) / "failures" / f"{digest([identity(self.point.cfg), logger])[:8]}.json"

    @property
    def error(self) -> str | None:
        """The recorded error, unless `retry_failed` asks to try the point again."""
        if self.point.cfg.retry_failed or not self.path.exists():
            return None
        return str(json.loads(self.path.read_text())["error"])

    def record(self, error: str) -> None:
        """Keep an error; the file appears whole. Where the point's inputs can't be read, a warning is all."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            with written_whole(self.path) as part:
                record = {"error": error, "point": self.point.overrides, "time": now}
                part.write_text(json.dumps(record, indent=1) + "\n")
        except (OSError, ValueError) as fault:
            log.warning("the failure of point %s could not be recorded: %s", self.point.name, own_words(fault))

    def forget(self) -> None:
        """Remove the record, if there is one."""
        self.path.unlink(missing_ok=True)


def point_outcome(point: SweepPoint, pipeline: Pipeline) -> PointOutcome:
    """The outcome of a point, from the store or from a search made now.

    A point that failed before is left alone unless `retry_failed`. Where nothing may be built (`build=never`) no
    failure is recorded: it may be that refusal.
    """
    failure = Failure(point)
    try:
        if (error := failure.error) is not None:
            log.warning("point %s failed earlier: %s (retry_failed=true tries it again)", point.name, error)
            return failed(point, error)
        result, _ = Point(pipeline, point.cfg.search, point.chosen, point.name).result()
        failure.forget()
        return succeeded(point, pipeline, result)
    except Exception as fault:
        words = own_words(fault)
        log.error("point %s failed: %s", point.name, words, exc_info=not is_check(fault))
        error = f"{type(fault).__name__}: {words}"
        if point.cfg.build == "auto":
            failure.record(error)
        return failed(point, error)


def succeeded(point: SweepPoint, pipeline: Pipeline, result: PointResult) -> PointOutcome:
    """The outcome of a point that has a row; the table's row also tells the data and their history."""
    measured = next((name for name in ("recall@10", "recall@5") if result.row.get(name) is not None), None)
    found = "its lists are too short for recall@5" if measured is None else f"{measured} {result.row[measured]:.4f}"
    log.info("%s: %s%s", point.name, found, "" if result.searched else " (was there)")
    data = {
        "data_file": data_label(point.cfg, point.chosen["data"]),
        "data_fingerprint": f"sha256:{pipeline.data.fingerprint}",
        "history": point.cfg.datamodule.history,
    }
    return PointOutcome(
        point, {**result.row, **data, "further": point.further, "status": "done", "error": None}, result
    )


def failed(point: SweepPoint, error: str) -> PointOutcome:
    """The outcome of a point without a row: the table has its options and the error."""
    cfg, search = point.cfg, plain(point.cfg.search)
    known = ("width", "expansion", "candidates", "weight")
    row = {
        "data": data_name(point.chosen["data"], cfg.data),
        **{group: point.chosen[group] for group in ("search", "generator", "reward", "training")},
        **{"split": cfg.split, "seed": cfg.seed, "seen": seen_of(cfg), "history": cfg.datamodule.history},
        **{f"search.{name}": search[name] for name in known if name in search},
        "data_file": data_label(cfg, point.chosen["data"]),
    }
    return PointOutcome(point, {**row, "further": point.further, "status": "failed", "error": error}, None, error)
