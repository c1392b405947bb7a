"""The file of predictions: ids and titles of the input, lists that end where the answer does, two forms of file."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.pipeline.predictions import write_predictions


@pytest.mark.parametrize("titles", [["A", None, "C"], None])
@pytest.mark.parametrize("name", ["p.parquet", "p.jsonl"])
def test_ids_and_titles(tmp_path: Path, name: str, titles: list[str | None] | None) -> None:
    items = pl.DataFrame({"id": ["x", "y", "z"], "title": pl.Series(titles or [None] * 3, dtype=pl.String)})
    point: Any = SimpleNamespace(
        pipeline=SimpleNamespace(interactions=SimpleNamespace(users=pl.Series(["u", "v"]), items=items))
    )
    found: Any = SimpleNamespace(
        users=np.array([1, 0]),
        targets=np.array([2, 0]),
        items=np.array([[2, 1], [-1, -1]]),
        scores=np.array([[0.5, 0.25], [0, 0]], np.float32),
    )
    write_predictions(point, found, tmp_path / name)
    read = pl.read_parquet if name.endswith("parquet") else pl.read_ndjson
    said = {"titles": [["C", None], []]} if titles else {}
    assert read(tmp_path / name).to_dict(as_series=False) == {
        "user": ["v", "u"], "target": ["z", "x"], "items": [["z", "y"], []], **said, "scores": [[0.5, 0.25], []]
    }  # fmt: skip
