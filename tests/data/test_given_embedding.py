"""GivenEmbedding: rows of a file stand by their items' ids, and whatever is wrong with them is said in one line."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.data.embeddings.concatenation import Concatenation
from promise.data.embeddings.given import GivenEmbedding
from promise.data.histories import Histories

ITEMS = pl.DataFrame({"id": range(10, 16), "text": [None] * 6}, schema_overrides={"text": pl.String})
PAIRS = Histories(np.array([0, 1, 2], np.int32), np.array([0, 3]), 6)
VECTORS = np.arange(12, dtype=np.float64).reshape(6, 2)


def given(tmp_path: Path, kind: str, vectors: np.ndarray = VECTORS, ids: Any = range(10, 16)) -> GivenEmbedding:
    """Vectors as a file of a kind: .npy by position or with ids, Parquet of lists or of columns."""
    path = tmp_path / ("v.npy" if kind in ("position", "ids") else "v.parquet")
    if kind in ("position", "ids"):
        np.save(path, vectors)
    elif kind == "lists":
        pl.DataFrame({"vector": vectors.tolist(), "id": ids}).write_parquet(path)
    else:
        pl.DataFrame(vectors).with_columns(pl.Series("id", ids).cast(pl.String)).write_parquet(path)
    (tmp_path / "ids.txt").write_text("\n".join(map(str, ids)))
    return GivenEmbedding(str(path), str(tmp_path / "ids.txt") if kind == "ids" else None)


@pytest.mark.parametrize("kind", ["position", "ids", "lists", "columns"])
def test_given_vectors_are_taken_as_they_stand(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    found = given(tmp_path, kind).embed(ITEMS, PAIRS, 0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VECTORS)
    assert ("is matched by position" in caplog.text) == (kind == "position")
    if kind != "position":
        shuffled = [3, 0, 6, 2, 5, 1, 4]  # the seventh is of an item that is not there
        more, ids = np.append(VECTORS, [[7.0, 0.0]], axis=0)[shuffled], np.array([*range(10, 16), 99])[shuffled]
        np.testing.assert_array_equal(given(tmp_path, kind, more, ids.tolist()).embed(ITEMS, PAIRS, 0), VECTORS)


@pytest.mark.parametrize("kind", ["ids", "lists", "columns"])
def test_missing_constant_and_broken_rows_are_named_in_one_line(tmp_path: Path, kind: str) -> None:
    rows = np.array([[3.0, 3.0], [0.0, 0.0], [math.nan, 1.0], [1e300, 1.0]])
    message = (
        r"^\S+: 2 of 6 items have no row, first the item 14; 2 of 6 items have a number that is not "
        r"finite in float32, first the item 12; 2 of 6 items have one number throughout, first the item 10$"
    )
    with pytest.raises(ValueError, match=message):
        given(tmp_path, kind, rows, [10, 11, 12, 13]).embed(ITEMS, PAIRS, 0)
    rows = np.append(rows, [[1.0, 3.0], [3.0, 4.0]], axis=0)
    filled = given(tmp_path, kind, rows, [10, 11, 12, 13, 14, 15])
    with pytest.raises(
        ValueError, match=r"first the item 10 \(embeddings.missing=mean, or content.missing=mean, fills them\)$"
    ):
        filled.embed(ITEMS, PAIRS, 0)
    refused = filled.fingerprint()
    filled = GivenEmbedding(str(filled.path), filled.ids and str(filled.ids), "mean")
    assert filled.fingerprint() != refused
    np.testing.assert_array_equal(filled.embed(ITEMS, PAIRS, 0), [[2.0, 3.5]] * 4 + [[1.0, 3.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match=r"^missing must be refuse or mean for vectors of v.npy, got zero$"):
        GivenEmbedding("v.npy", None, "zero")
    with pytest.raises(ValueError, match=r": the id 11 is there twice"):
        given(tmp_path, kind, rows[:4], [10, 11, 12, 11]).embed(ITEMS, PAIRS, 0)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(6), r"expected a 2-D array \(items, width\), got shape \(6,\)"),
        (np.zeros((6, 0)), r"expected a 2-D array \(items, width\), got shape \(6, 0\)"),
        (np.zeros((5, 2)), "expected 6 rows, one per item, got 5"),
        (np.array([["a"]] * 6), "is neither Parquet nor a .npy file of numbers"),
        (np.zeros((6, 2), dtype=complex), "is neither Parquet nor a .npy file of numbers"),
        (np.array([[0], [1], [np.nan], [0], [np.inf], [0]]), "2 of 6 items have a number .* first the item 12"),
    ],
)
def test_given_array_that_does_not_fit(tmp_path: Path, array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        given(tmp_path, "position", array).embed(ITEMS, PAIRS, 0)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"item": [1], "x": [1.0]}, r"must have the column id, got item, x"),
        ({"id": [1], "x": ["a"]}, r"must hold numbers or one column of lists, got \['x'\]"),
        ({"id": [1], "x": [[1.0]], "y": [1.0]}, r"must hold numbers or one column of lists, got \['x'\]"),
        ({"id": [1], "x": [{"a": 1.0}]}, r"must hold numbers or one column of lists, got \['x'\]"),
        ({"id": [1], "x": [None]}, r"must hold numbers or one column of lists, got \['x'\]"),
        ({"id": [1, 2], "x": [[1.0], [1.0, 2.0]]}, "lists must be of one length, got lengths"),
    ],
)
def test_given_table_that_does_not_fit(tmp_path: Path, frame: dict[str, Any], message: str) -> None:
    pl.DataFrame(frame).write_parquet(tmp_path / "v.parquet")
    with pytest.raises(ValueError, match=message):
        GivenEmbedding(str(tmp_path / "v.parquet"), None).embed(ITEMS, PAIRS, 0)


def test_given_ids_may_be_floats_or_begin_with_a_mark(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    ids = [f"{item}.0" for item in ITEMS["id"]]
    expected = given(tmp_path, "ids", vectors, ITEMS["id"]).embed(ITEMS, PAIRS, 0)
    np.testing.assert_array_equal(given(tmp_path, "ids", vectors, ids).embed(ITEMS, PAIRS, 0), expected)
    marked = given(tmp_path, "ids", vectors, ITEMS["id"])
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "ids.txt").read_bytes())
    np.testing.assert_array_equal(marked.embed(ITEMS, PAIRS, 0), expected)


def test_given_ids_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold 6 ids, one per row, got 5"):
        given(tmp_path, "ids", ids=range(5)).embed(ITEMS, PAIRS, 0)
    broken = given(tmp_path, "ids")
    (tmp_path / "ids.txt").write_bytes(b"\xff\xfe1")
    with pytest.raises(ValueError, match=r"ids.txt is no text"):
        broken.embed(ITEMS, PAIRS, 0)
    (tmp_path / "ids.txt").unlink()
    with pytest.raises(ValueError, match=r"cannot read"):
        broken.fingerprint()


@pytest.mark.parametrize("kind", ["empty", "garbage", "header", "zip", "npz", "pickle", "folder", "missing"])
def test_given_file_that_is_no_array(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "v.npy"
    contents = {"empty": b"", "garbage": b"garbage", "header": b"\x93NUMPY\x01\x00", "zip": b"PK\x03\x04"}
    if kind in contents:
        path.write_bytes(contents[kind])
        path.with_suffix(".parquet").write_bytes(contents[kind])
        with pytest.raises(ValueError, match=r"v.parquet is no Parquet file"):
            GivenEmbedding(str(path.with_suffix(".parquet")), None).embed(ITEMS, PAIRS, 0)
    elif kind == "npz":
        np.savez(path.with_suffix(".npz"), a=np.zeros((6, 2)))
        path.with_suffix(".npz").rename(path)
    elif kind == "pickle":
        np.save(path, np.array([{}] * 6, dtype=object), allow_pickle=True)
    elif kind == "folder":
        path.mkdir()
    message = "cannot read" if kind in ("folder", "missing") else "is neither Parquet nor a .npy file of numbers"
    with pytest.raises(ValueError, match=message):
        GivenEmbedding(str(path), None).embed(ITEMS, PAIRS, 0)
    if kind in ("folder", "missing"):
        with pytest.raises(ValueError, match=r"cannot read"):
            GivenEmbedding(str(path), None).fingerprint()


def test_given_part_is_scaled_to_its_weight_too(tmp_path: Path) -> None:
    vectors = np.array([[3e30, 4e30], [3e-30, 4e-30], [1, 0], [0, -2], [5, 12], [8, 15]])
    found = Concatenation({"given": {"embedding": given(tmp_path, "lists", vectors), "weight": 0.5}}).embed(
        ITEMS, PAIRS, 0
    )
    np.testing.assert_allclose(found[:4], [[0.3, 0.4], [0.3, 0.4], [0.5, 0], [0, -0.5]], atol=1e-6)
