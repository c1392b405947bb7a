"""The file of every user's answer, with the ids of the input."""

import os
from pathlib import Path

import polars as pl

from promise.pipeline.points import Point
from promise.tasks.evaluation import EvaluationResult


def write_predictions(point: Point, found: EvaluationResult, path: Path) -> None:
    """Write user, target, items (ranked, not padded) and scores of every user, as Parquet.

    Args:
        point: The point that was evaluated.
        found: Its answers.
        path: The file; it appears whole.
    """
    interactions, ids = point.pipeline.interactions, point.catalogue
    real = found.items >= 0
    table = pl.DataFrame(
        {
            "user": interactions.users.gather(found.users),
            "target": ids[found.targets],
            "items": [ids[row[there]] for row, there in zip(found.items, real, strict=True)],
            "scores": [row[there] for row, there in zip(found.scores, real, strict=True)],
        },
        schema_overrides={"items": pl.List(pl.Int64), "scores": pl.List(pl.Float32)},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    table.write_parquet(part)
    part.rename(path)
