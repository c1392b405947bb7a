"""The file of every user's answer, with the ids of the input."""

from pathlib import Path

import polars as pl

from promise.pipeline.files import written_whole
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
        schema_overrides={"items": pl.List(interactions.items["id"].dtype), "scores": pl.List(pl.Float32)},
    )
    with written_whole(path) as part:
        table.write_parquet(part)
