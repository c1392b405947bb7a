"""GivenCodes: files of each form, what is refused, and codewords by hand."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from promise.ids.collisions import resolved
from promise.ids.quantizers.given import GivenCodes

ITEMS = pl.Series([7, 8, 9])
CODES = [[1, 0], [0, 2], [1, 0]]
INDEX = {"9": ["<a_1>", "<b_0>"], "7": ["<a_1>", "<b_0>"], "8": ["<a_0>", "<b_2>"], "x": ["<a_0>", "<b_3>"]}
VECTORS = np.array([[4, 1], [0, 0], [4, 3]], np.float32)


def index(folder: Path, content: object, name: str = "my.index.json") -> str:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return str(folder / name)


def test_an_index_is_matched_by_item_id(tmp_path, caplog):
    given = GivenCodes(index(tmp_path, INDEX), items=ITEMS)
    given.fit(VECTORS, seed=0)
    assert given.encode(VECTORS).tolist() == CODES
    assert given.level_sizes == (2, 4)
    assert "1 of 4 rows are of items that the data do not have" in caplog.text
    # the mean of items 7 and 9, and what is left of them on average
    assert given.codebooks[0].tolist() == [[0, 0], [4, 2]]
    assert given.codebooks[1].tolist() == [[0, 0]] * 4
    with pytest.raises(ValueError, match="ids=given has codes of 3 items, got vectors of 2"):
        given.encode(VECTORS[:2])


@pytest.mark.parametrize("kind", ["list.parquet", "columns.parquet", "my.csv", "my.tsv", "my.jsonl"])
def test_tables_hold_the_same_codes(tmp_path, kind):
    path, rows = tmp_path / f"[1] {kind}", pl.DataFrame({"id": ITEMS, "codes": CODES})
    flat = rows.select("id", first=pl.col("codes").list.get(0), second=pl.col("codes").list.get(1))
    match path.suffix:
        case ".parquet":
            (rows if kind.startswith("list") else flat).write_parquet(path)
        case ".jsonl":
            rows.write_ndjson(path)
        case suffix:
            flat.write_csv(path, separator="\t" if suffix == ".tsv" else ",")
    assert GivenCodes(str(path), items=ITEMS).encode(VECTORS).tolist() == CODES


@pytest.mark.parametrize("policy", ["extra_level", "nearest_free"])
def test_every_policy_gives_each_item_a_path_of_its_own(tmp_path, policy):
    given = GivenCodes(index(tmp_path, INDEX), items=ITEMS)
    given.fit(VECTORS, seed=0)
    codes, sizes, _ = resolved(policy, given.encode(VECTORS), given.codebooks, VECTORS, limit=max(given.level_sizes))
    assert len(np.unique(codes, axis=0)) == 3
    assert len(sizes) == (3 if policy == "extra_level" else 2)


def test_shared_paths_stay_as_they_are(tmp_path):
    given = GivenCodes(index(tmp_path, INDEX), items=ITEMS)
    given.fit(VECTORS, seed=0)
    codes, sizes, moved = resolved("shared", given.encode(VECTORS), given.codebooks, VECTORS, limit=1)
    assert (codes.tolist(), sizes, moved) == (CODES, (2, 4), 0)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"7": [1, 0], "8": [1, 0, 3], "9": [2, 1]}, "all items must have as many codes, 2, the item '8' has 3"),
        ({"7": [1, 0], "8": [], "9": [2, 1]}, "all items must have as many codes, 2, the item '8' has 0"),
        ({"7": [1, 0]}, "2 of 3 items have no row, first the item 8"),
        ({"7": [1, 0], "8": [1, -1]}, "codes must be integers from 0 to 1048575, got '-1' for the item '8'"),
        ({"7": [1, 0], "8": [1.5, 1]}, "got '1.5' for the item '8'"),
        ({"7": [1, 0], "8": ["<a_x>", 1]}, "got '<a_x>' for the item '8'"),
        ({"7": [1, None]}, "got 'None' for the item '7'"),
        ({"7": [2**20, 1]}, "got '1048576' for the item '7'"),
        ('{"7": [1], "7": [2]}', "the item '7' is there twice"),
        ({"7": 3}, "cannot be read: it must be an object of lists of codes by item id"),
        ("null", "cannot be read: it must be an object of lists of codes by item id"),
        ([[1, 2]], "cannot be read: it must be an object of lists of codes by item id"),
        ("{", "cannot be read: Expecting property name"),
        ({}, "holds no codes"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(tmp_path, content, error):
    with pytest.raises(ValueError) as caught:
        GivenCodes(index(tmp_path, content), items=ITEMS)
    assert error in str(caught.value)
    assert str(caught.value).startswith("ids.codes_path=") and "\n" not in str(caught.value)


def test_a_table_without_ids_and_other_files_are_refused(tmp_path):
    for name, content, error in (
        ("a.csv", "item,c\n7,1\n", "must have the column id, got item, c"),
        ("a.txt", "7 1", "must be a .json, .jsonl, .csv, .tsv or .parquet file"),
        ("b.csv", "id,c\n7,1\n8,\n9,2\n", "got None for the item '8'"),
    ):
        with pytest.raises(ValueError, match=error):
            GivenCodes(index(tmp_path, content, name), items=ITEMS)
    with pytest.raises(ValueError, match=r"cannot be read: .*No such file"):
        GivenCodes(str(tmp_path / "none.json"), items=ITEMS)
