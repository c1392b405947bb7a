"""The file of every user's answer, with the ids of the input and the titles of the items."""

from pathlib import Path

import polars as pl

from promise.pipeline.files import written_whole
from promise.pipeline.points import Point
from promise.tasks.evaluation import EvaluationResult


def write_predictions(point: Point, found: EvaluationResult, path: Path) -> None:
    """Write user, target, items (ranked, not padded), their titles where there are any, and scores of every user.

    Args:
        point: The point that was evaluated.
        found: Its answers.
        path: The file, Parquet, or JSON lines where its name ends so; it appears whole.
    """
    interactions, real = point.pipeline.interactions, found.items >= 0
    ids, titles = interactions.items["id"], interactions.items["title"]
    rows = [pl.Series(row[there]) for row, there in zip(found.items, real, strict=True)]
    table = pl.DataFrame(
        {
            "user": interactions.users.gather(found.users),
            "target": ids.gather(found.targets),
            "items": [ids.gather(row) for row in rows],
            **({"titles": [titles.gather(row) for row in rows]} if titles.count() else {}),
            "scores": [row[there] for row, there in zip(found.scores, real, strict=True)],
        },
        schema_overrides={"items": pl.List(ids.dtype), "titles": pl.List(pl.String), "scores": pl.List(pl.Float32)},
    )
    with written_whole(path) as part:
        (table.write_ndjson if path.suffix == ".jsonl" else table.write_parquet)(part)
