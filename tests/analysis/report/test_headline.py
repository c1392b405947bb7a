"""Headline tables: what is read is what was written, in a stable order; what makes a claim."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from promise.analysis.report.headline import (
    COMPARISON_COLUMNS,
    COMPARISON_KEY,
    GOAL_COLUMNS,
    ROW_COLUMNS,
    ROW_KEY,
    claimed,
    merged,
    read_headline,
    read_table,
    write_table,
)

ROWS = Path(__file__).resolve().parents[3] / "sweeps" / "results"


def rows(*changes: dict[str, Any]) -> pl.DataFrame:
    base = dict.fromkeys(ROW_COLUMNS) | {"dataset": "d", "seen": "keep", "half": "all", "split": "test", "seed": 0}
    base |= {"method": "guided", "recall@10": 0.07, "command": "promise evaluate 'search.width=[1,2]'"}
    return pl.DataFrame([base | change for change in changes], infer_schema_length=None)


def test_what_was_written_is_read_in_the_order_of_the_key(tmp_path: Path) -> None:
    given = rows(
        {"seed": 1}, {"method": "unknown"}, {}, {"method": "popularity", "seen": "remove", "flops_per_user": 5.5},
        {"method": "popularity", "half": "below"}, {"method": "popularity", "half": "above"}, {"split": "validation"},
        {"method": "popularity", "dataset": "c"},
    )  # fmt: skip
    path = tmp_path / "new" / "headline.csv"
    write_table(given, path, ROW_KEY)
    found = read_table(path, ROW_COLUMNS)
    assert found.to_dicts() == [given.to_dicts()[i] for i in (7, 2, 0, 1, 5, 4, 3, 6)]
    text = path.read_bytes()
    write_table(found.reverse(), path, ROW_KEY)
    assert path.read_bytes() == text and [each.name for each in path.parent.iterdir()] == ["headline.csv"]


@pytest.mark.skipif(not ROWS.is_dir(), reason="not a checkout")
@pytest.mark.parametrize(
    ("name", "columns", "key"),
    [("headline", ROW_COLUMNS, ROW_KEY), ("comparisons", COMPARISON_COLUMNS, COMPARISON_KEY)],
)
def test_the_committed_rows_stay_as_they_are(name: str, columns: Any, key: Any, tmp_path: Path) -> None:
    found = read_table(ROWS / f"{name}.csv", columns)
    write_table(merged(found, found, key), tmp_path / "again.csv", key)
    assert read_table(tmp_path / "again.csv", columns).equals(found)


def test_other_columns_stay_and_no_file_holds_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "headline.csv"
    write_table(rows({"recipe": "counts"}), path, ROW_KEY)
    table = merged(read_table(path, ROW_COLUMNS), rows({"seed": 1}), ROW_KEY)
    assert table["recipe"].to_list() == ["counts", None]
    old, new = rows({}, {"seed": 1}), rows({"recall@10": 0.08})  # a new row replaces the old one of its key
    assert merged(old, new, ROW_KEY).sort("seed")["recall@10"].to_list() == [0.08, 0.07]
    assert read_table(tmp_path / "none.csv", ROW_COLUMNS).is_empty()


def test_recipes_are_never_mixed(tmp_path: Path) -> None:
    path, old, new = tmp_path / "headline.csv", rows({}), rows({"recipe": "counts", "recall@500": 0.5})
    write_table(merged(old, new, ROW_KEY), path, ROW_KEY)
    assert read_table(path, ROW_COLUMNS)["recall@500"].to_list() == [None, 0.5]
    name = old["dataset"][0]
    assert read_headline(tmp_path).datasets == [name, f"{name} (counts)"]


def test_a_wrong_table_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "goals.csv"
    for text in ("", "a,b\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"goals.csv must have the columns dataset, seen, method, kind, "):
            read_table(path, GOAL_COLUMNS)
    path.write_text(",".join(GOAL_COLUMNS) + "\nd,keep,guided,must,high,0.1\n")
    with pytest.raises(ValueError, match=r"goals.csv: recall@10 must be a number, got 'high'"):
        read_table(path, GOAL_COLUMNS)


@pytest.mark.parametrize(
    ("ends", "sign"),
    [((0.1, 0.2, 0.05, 0.3), 1), ((0.1, 0.2, -0.05, 0.3), 0), ((-0.2, -0.1, -0.3, -0.1), -1),
     ((-0.2, -0.1, -0.3, 0.0), 0), ((-0.1, 0.1, 0.01, 0.02), 0), ((0.0, 0.1, 0.01, 0.02), 0)],
)  # fmt: skip
def test_a_claim_needs_the_interval_and_every_seed(ends: tuple[float, ...], sign: int) -> None:
    assert claimed(dict(zip(("low", "high", "seed_min", "seed_max"), ends, strict=True))) == sign
