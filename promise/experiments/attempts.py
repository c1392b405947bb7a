"""Trying a point of a sweep: its row, or its error, which the store keeps so that it isn't tried again."""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

import promise
from promise.experiments.grid import SweepPoint
from promise.pipeline.config import make
from promise.pipeline.errors import is_check, own_words
from promise.pipeline.item_files import LISTS
from promise.pipeline.model_folder import description
from promise.pipeline.points import Point, PointResult
from promise.pipeline.stages import Pipeline
from promise.pipeline.store import file_fingerprint

log = logging.getLogger(__name__)

#: What belongs to a run and not to a point: a failure is the same one without it.
OF_THE_RUN = ("store", "build", "sweep", "dry_run", "retry_failed", "predictions", "analysis", "logger.save_dir")


@dataclass(frozen=True)
class Attempt:
    """What became of a point.

    Attributes:
        result: Its row; None where it failed.
        error: What it ended with, `TypeName: message` on one line; None where it did not.
        earlier: Whether an earlier start found that out, and this one did nothing.
    """

    result: PointResult | None
    error: str | None
    earlier: bool


class Failure:
    """What the store knows of a point that failed, by its config and the contents of its inputs.

    Args:
        cfg: The point's root config.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg

    @cached_property
    def path(self) -> Path:
        """Its file.

        Raises:
            ValueError: If an input file is missing.
        """
        values = OmegaConf.to_container(self.cfg, resolve=True)
        assert isinstance(values, dict)
        for name in OF_THE_RUN:
            *parents, last = name.split(".")
            inner: Any = values
            for parent in parents:
                inner = inner.get(parent, {})
            inner.pop(last, None)
        files = {name: values["evaluation"].pop(name, None) for name in LISTS}
        files |= {"ids": values["ids"].pop("path")}
        if (given := values.pop("checkpoint")) is not None:
            values["model"] = description(Path(given))["networks"]
        values["files"] = {name: file_fingerprint(Path(path)) for name, path in files.items() if path is not None}
        values["data"] = make(self.cfg.data).fingerprint()
        values["embeddings"] = make(self.cfg.embeddings).fingerprint()
        text = json.dumps([promise.__version__, values], sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        return Path(self.cfg.store) / "failures" / f"{name}.json"

    @property
    def error(self) -> str | None:
        """The error that the point ended with at an earlier start, if it did."""
        try:
            return str(json.loads(self.path.read_text())["error"])
        except FileNotFoundError:
            return None

    def keep(self, words: Sequence[str], error: str) -> None:
        """Record an error; the file appears whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        part.write_text(json.dumps({"error": error, "point": list(words), "time": now}, indent=1) + "\n")
        part.rename(self.path)

    def forget(self) -> None:
        """Remove what was recorded, if anything was."""
        self.path.unlink(missing_ok=True)


def attempt(point: SweepPoint, pipeline: Pipeline) -> Attempt:
    """The row of a point, from the store or made now; what it raises becomes part of the answer and is recorded.

    A point that failed at an earlier start is left alone unless `retry_failed`. Where nothing may be built
    (`build=never`) no failure is recorded: it may be that refusal.

    Args:
        point: The point.
        pipeline: That of its config.
    """
    failure = Failure(point.cfg)
    try:
        if not point.cfg.retry_failed and (error := failure.error):
            log.warning("point %s failed earlier: %s (retry_failed=true tries it again)", point.name, error)
            return Attempt(None, error, earlier=True)
        result, _ = Point(pipeline, point.cfg.search, point.chosen).result()
        failure.forget()
        tell(point, result)
        return Attempt(result, None, earlier=False)
    except Exception as fault:
        words = own_words(fault)
        log.error("point %s failed: %s", point.name, words, exc_info=not is_check(fault))
        error = f"{type(fault).__name__}: {words}"
        if point.cfg.build == "auto":
            record(failure, point, error)
        return Attempt(None, error, earlier=False)


def tell(point: SweepPoint, result: PointResult) -> None:
    """One line in the log per row."""
    state = "" if result.searched else " (was there)"
    log.info("%s: recall@10 %s%s", point.name, result.row["recall@10"], state)


def record(failure: Failure, point: SweepPoint, error: str) -> None:
    """Keep a failure, if its inputs can be read at all."""
    try:
        failure.keep(point.words, error)
    except (OSError, ValueError) as fault:
        log.warning("the failure of point %s could not be recorded: %s", point.name, own_words(fault))
