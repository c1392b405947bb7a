"""Rows to table to file and back: columns, types, order, errors."""

import itertools
import random
from pathlib import Path

import polars as pl
import pytest

from promise.analysis.results import read_results, results_table, write_results


def test_reads_back_what_was_written(sweep, tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.csv"
    write_results(sweep, path)
    table = read_results(path)
    assert table.equals(results_table(sweep))
    assert table.schema == results_table(sweep).schema
    assert [file.name for file in path.parent.iterdir()] == ["results.csv"]


def test_columns_stand_in_the_order_of_the_schema() -> None:
    columns = results_table([{"hrecall@2": 1, "hrecall@10": 1, "zeta": 1, "recall@5_high": 1, "recall@50": 0}]).columns
    assert columns[:7] == ["hash", "data", "split", "users", "seed", "seen", "search"]
    start = columns.index("recall@5")
    assert columns[start : start + 5] == ["recall@5", "recall@5_high", "recall@10", "recall@20", "recall@50"]
    assert columns.index("ndcg@20") < columns.index("hrecall@2") < columns.index("hrecall@10")
    assert columns.index("duplicate_rate") < columns.index("zeta") < columns.index("parameters")
    assert columns[-2:] == ["status", "error"]


def test_lists_are_json_text(tmp_path: Path) -> None:
    write_results(
        [{"search": "plain", "search.width": [50, 20]}, {"search": "plain", "search.width": 5}], tmp_path / "r"
    )
    assert read_results(tmp_path / "r")["search.width"].to_list() == ["5", "[50, 20]"]
    assert '"[50, 20]"' in (tmp_path / "r").read_text()


def test_missing_stays_missing_and_text_survives(tmp_path: Path) -> None:
    nasty = 'no "room", é\nsecond line'
    write_results([{"search": "plain", "status": "failed", "error": nasty, "recall@10": None}], tmp_path / "r")
    table = read_results(tmp_path / "r")
    assert table["error"].to_list() == [nasty]
    assert table["recall@10"].to_list() == table["search.width"].to_list() == [None]


def test_rows_stand_by_dials_whatever_their_order_was(sweep) -> None:
    expected = results_table(sweep)
    for seed in range(5):
        shuffled = random.Random(seed).sample(sweep, len(sweep))
        assert results_table(shuffled).equals(expected)
    assert expected["search"].unique(maintain_order=True).to_list() == ["plain", "guided", "exhaustive"]
    guided = expected.filter(pl.col("search") == "guided")
    assert guided.select("search.width", "search.expansion").rows() == list(itertools.product((10, 20), (1, 2, 4, 10)))


@pytest.mark.parametrize("value", [{"a": 1}, [[20]], object])
def test_error_value(value) -> None:
    with pytest.raises(ValueError, match=r"^a row's search.width must be text, a number, a list of these or null"):
        results_table([{"search.width": value}])


def test_a_list_of_text_is_json() -> None:
    assert results_table([{"search.kinds": ["near", "far"]}])["search.kinds"].to_list() == ['["near", "far"]']


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"^results file not found: .*results.csv$"),
        (b"", r"^no table of results: .*results.csv \("),
        (b"a,b\n1,2\n", r"^no table of results: .*results.csv \(it has no column `search`\)$"),
        (b"\x00\xff\xfe\x80\n" * 50, r"^no table of results: .*results.csv \("),
    ],
)
def test_error_file(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_results(path)
    assert "\n" not in str(error.value)
