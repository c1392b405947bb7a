"""The file of every user's answer, with the ids of the input and the titles of the items."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from promise.pipeline.files import written_whole
from promise.pipeline.points import Point
from promise.tasks.evaluation import EvaluationResult

#: How a table is written, by the end of the file's name.
SUFFIXES: dict[str, Callable[..., Any]] = {
    ".parquet": pl.LazyFrame.sink_parquet,
    ".csv": pl.LazyFrame.sink_csv,
    ".tsv": partial(pl.LazyFrame.sink_csv, separator="\t"),
    ".jsonl": pl.LazyFrame.sink_ndjson,
}


def write_table(table: pl.LazyFrame, path: Path) -> None:
    """Write a table in the form that the file's name says, without holding all of it; the file appears whole."""
    with written_whole(path) as part:
        SUFFIXES[path.suffix](table, part)


def write_predictions(point: Point, found: EvaluationResult, path: Path) -> None:
    """Write user, target, items (ranked, not padded), their titles where there are any, and scores of every user."""
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
    write_table(table.lazy(), path)
