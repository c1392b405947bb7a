"""Headline tables: what is read is what was written, in a stable order; what makes a claim."""

from pathlib import Path
from typing import Any

import pytest

from promise.analysis.headline import (
    COMPARISON_COLUMNS,
    GOAL_COLUMNS,
    METHODS,
    ROW_COLUMNS,
    ROW_KEY,
    claimed,
    merged,
    read_table,
    write_table,
)


def row(**values: Any) -> dict[str, Any]:
    base = dict.fromkeys(ROW_COLUMNS) | {"dataset": "d", "seen": "keep", "half": "all", "split": "test", "seed": 0}
    return base | {"recall@10": 0.07, "command": "promise evaluate 'search.width=[1,2]'"} | values


def test_columns() -> None:
    assert ",".join(ROW_COLUMNS) == (
        "dataset,method,seen,half,seed,split,recall@5,ndcg@5,recall@10,ndcg@10,flops_per_user,parameters,command"
    )
    assert ",".join(COMPARISON_COLUMNS) == (
        "dataset,seen,half,split,metric,method,against,difference,low,high,seed_min,seed_max,seeds,users"
    )
    assert len(METHODS) == 10


def test_what_was_written_is_read_in_the_order_of_the_key(tmp_path: Path) -> None:
    rows = [
        row(method="guided", seed=1),
        row(method="unknown"),
        row(method="guided"),
        row(method="popularity", seen="remove", parameters=12, flops_per_user=5.5),
        row(method="popularity", half="below"),
        row(method="popularity", half="above"),
        row(method="popularity", split="validation"),
        row(method="popularity", dataset="c"),
    ]
    path = tmp_path / "new" / "headline.csv"
    write_table(rows, path, ROW_COLUMNS, ROW_KEY)
    found = read_table(path, ROW_COLUMNS)
    assert found == [rows[i] for i in (7, 2, 0, 1, 5, 4, 3, 6)]
    text = path.read_bytes()
    write_table(reversed(found), path, ROW_COLUMNS, ROW_KEY)
    assert path.read_bytes() == text and b"\r" not in text
    assert [each.name for each in path.parent.iterdir()] == ["headline.csv"]


def test_no_file_holds_no_rows(tmp_path: Path) -> None:
    assert read_table(tmp_path / "none.csv", ROW_COLUMNS) == []


def test_a_wrong_table_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "goals.csv"
    for text in ("", "a,b\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"goals.csv must have the columns dataset, seen, method, kind, "):
            read_table(path, GOAL_COLUMNS)
    path.write_text(",".join(GOAL_COLUMNS) + "\nd,keep,guided,must,high,0.1\n")
    with pytest.raises(ValueError, match=r"goals.csv: recall@10 must be a number, got 'high'"):
        read_table(path, GOAL_COLUMNS)


def test_a_new_row_replaces_the_old_one_of_its_key() -> None:
    old, new = row(method="guided"), row(method="guided", **{"recall@10": 0.08})
    other = row(method="guided", seed=1)
    assert merged([old, other], [new], ROW_KEY) == [new, other]
    assert merged([], [old], ROW_KEY) == [old]


@pytest.mark.parametrize(
    ("low", "high", "seed_min", "seed_max", "sign"),
    [
        (0.1, 0.2, 0.05, 0.3, 1),
        (0.1, 0.2, -0.05, 0.3, 0),
        (-0.2, -0.1, -0.3, -0.1, -1),
        (-0.2, -0.1, -0.3, 0.0, 0),
        (-0.1, 0.1, 0.01, 0.02, 0),
        (0.0, 0.1, 0.01, 0.02, 0),
    ],
)
def test_a_claim_needs_the_interval_and_every_seed(
    low: float, high: float, seed_min: float, seed_max: float, sign: int
) -> None:
    assert claimed({"low": low, "high": high, "seed_min": seed_min, "seed_max": seed_max}) == sign
