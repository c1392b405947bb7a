"""Histories for a known catalogue: files of every form say the same, ids meet whatever their type, none is invented."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.data.given_histories import GivenHistories, read_histories

EVENTS = [("a", 7, 3), ("b", 10, 1), ("a", 13, 1), ("a", 16, 2), ("b", 7, 2)]
LISTS = [{"user": "a", "items": [13, 16, 7]}, {"user": "b", "items": [10, 7]}]
CATALOGUE = pl.Series("id", [7, 10, 13, 16])
NAMED = {"user": "who", "item": "what", "time": "when"}
FORMS: dict[str, dict[str, Any]] = {
    **{f"e.{end}": {} for end in ("csv", "tsv", "parquet", "jsonl", "csv.gz")},
    **{
        name: {} for name in ("newest_first.csv", "no_time.csv", "lists.parquet", "lists.jsonl", "lists.csv", "p-*.csv")
    },
    "bare.csv": {"header": False, "user": 1, "item": 2, "time": 3},
    "bare.csv of the training": {"header": False, "usual": {"user": 1, "item": 2, "time": 3}},
    "named.csv": NAMED,
    "named.csv of the training": {"usual": NAMED},
    "e.csv of another shop": {"usual": NAMED},
}


def read(path: Path, catalogue: pl.Series = CATALOGUE, **columns: Any) -> GivenHistories:
    return read_histories("histories", str(path), catalogue, **columns)


def spelled(found: GivenHistories) -> dict[Any, list[int]]:
    parts = np.split(found.items, found.offsets[1:-1])
    return {user: items.tolist() for user, items in zip(found.users, parts, strict=True)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same five events in files of every form."""
    folder = tmp_path_factory.mktemp("histories")
    table = pl.DataFrame(EVENTS, schema=["user", "item", "time"], orient="row")
    table.write_csv(folder / "e.csv")
    table.write_csv(folder / "e.tsv", separator="\t")
    table.write_parquet(folder / "e.parquet")
    table.write_ndjson(folder / "e.jsonl")
    (folder / "e.csv.gz").write_bytes(gzip.compress((folder / "e.csv").read_bytes()))
    ordered = table.sort("time", maintain_order=True)
    ordered.reverse().write_csv(folder / "newest_first.csv")
    ordered.drop("time").write_csv(folder / "no_time.csv")
    table.write_csv(folder / "bare.csv", include_header=False)
    table.rename(NAMED).write_csv(folder / "named.csv")
    pl.DataFrame(LISTS).write_parquet(folder / "lists.parquet")
    pl.DataFrame(LISTS).write_ndjson(folder / "lists.jsonl")
    pl.DataFrame([{"uid": row["user"], "history": str(row["items"])} for row in LISTS]).write_csv(folder / "lists.csv")
    table[:2].write_csv(folder / "p-1.csv")
    table[2:].write_csv(folder / "p-2.csv")
    return folder


@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_the_same(folder: Path, name: str) -> None:
    found = read(folder / name.split()[0], **FORMS[name])
    assert spelled(found) == {"a": [2, 3, 0], "b": [1, 0]} and (found.unknown, found.stranger) == (0, None)


@pytest.mark.parametrize("catalogue", [CATALOGUE, CATALOGUE.cast(pl.String)])
@pytest.mark.parametrize("item", ["7", "7.0", '"7"', " 7 "])
def test_ids_meet_whatever_their_type(tmp_path: Path, catalogue: pl.Series, item: str) -> None:
    (tmp_path / "h.csv").write_text(f"user,item\na,{item}\n")
    assert spelled(read(tmp_path / "h.csv", catalogue)) == {"a": [0]}


def test_unknown_items_are_left_out_and_their_users_stay(tmp_path: Path) -> None:
    (tmp_path / "h.jsonl").write_text(
        '{"user": 10, "items": [7, "x", 16]}\n{"user": 9, "items": []}\n{"user": 2, "items": ["y"]}\n{"user": 3}\n'
    )
    found = read(tmp_path / "h.jsonl")
    assert spelled(found) == {2: [], 3: [], 9: [], 10: [0, 3]} and (found.unknown, found.stranger) == (2, "x")
    assert found.users.dtype == pl.Int64
