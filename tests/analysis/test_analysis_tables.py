"""Sections on drift and laws: what is said in words, and the figures below it, on tables that are written out."""

import csv
from pathlib import Path

import pytest

from promise.analysis.analysis_tables import (
    DRIFT_COLUMNS,
    DRIFT_WORDS,
    LAW_COLUMNS,
    SIZE_COLUMNS,
    drift_section,
    laws_section,
    sizes_section,
)


def drift_file(folder: Path, *rows: str) -> Path:
    path = folder / "drift-d.csv"
    lines = [f"amazon_beauty,test,0,keep,2000,20,200,{row}" for row in rows]
    path.write_text("\n".join([",".join(DRIFT_COLUMNS), *lines]) + "\n")
    return path


def law_file(folder: Path, *rows: dict[str, str]) -> Path:
    base = {
        "group": "0", "data": "amazon_beauty", "split": "test", "users": "1000", "seen": "keep", "generator": "small",
        "reward": "dot", "training": "joint", "width": "20", "weight": "1.0", "x0": "20.0",
        "seeds": "0 1", "metric": "recall@10", "along": "candidates", "verdict": "the power law predicts best",
    }  # fmt: skip
    path = folder / "laws-d.csv"
    lines = [",".join((base | row).get(name, "") for name in LAW_COLUMNS) for row in rows]
    path.write_text("\n".join([",".join(LAW_COLUMNS), *lines]) + "\n")
    return path


def test_drift_in_words_and_figures(tmp_path: Path) -> None:
    path = drift_file(
        tmp_path,
        "1,hrecall_plain,0.5,0.4,0.6",
        "1,net_rescue,-0.02,-0.03,-0.01",
        "1,reward_median_rank,17.0,15.0,20.0",
        "1,reward_ece,0.07,,",
        "1,reward_bin1_accuracy,0.03,,",
        "2,net_rescue,0.001,-0.01,0.01",
        "2,hrecall_plain,,,",
        ",net_rescue@10,0.014,0.004,0.023",
        ",no_error,0.0125,0.008,0.0175",
        ",net_rescue@5,0.1,,",
    )
    assert drift_section(path) == [
        "Amazon Beauty, test targets of 2,000 users, seed 0, past items kept, W = 20, C = 200.",
        "",
        "- At depth 1 guided search loses **more** than it saves: −.0200 (−.0300 to −.0100) of the users.",
        "- At depth 2 guided search loses as much as it saves, as far as can be told: +.0010 (−.0100 to .0100) of the "
        "users.",
        "- In the lists (10 items) guided search saves more than it loses: +.0140 (.0040 to .0230) of the users.",
        "",
        DRIFT_WORDS,
        "",
        "| measure | depth 1 | depth 2 |",
        "|---|---|---|",
        "| hrecall_plain | .5000 (.4000 to .6000) | – |",
        "| net_rescue | −.0200 (−.0300 to −.0100) | +.0010 (−.0100 to +.0100) |",
        "| reward_median_rank | 17 (15 to 20) | – |",
        "| reward_ece | .0700 | – |",
        "",
        "| measure | lists |",
        "|---|---|",
        "| net_rescue@10 | +.0140 (+.0040 to +.0230) |",
        "| no_error | .0125 (.0080 to .0175) |",
        "| net_rescue@5 | +.1000 |",
    ]


def test_drift_of_past_items_removed(tmp_path: Path) -> None:
    path = drift_file(tmp_path, "1,hrecall_plain,0.5,,")
    path.write_text(path.read_text().replace("keep", "remove"))
    assert "past items removed" in drift_section(path)[0]


FITTED = {
    "law": "power", "form": "a − b·x^−c", "preferred": "true", "held_out_x": "800", "a": "0.0712", "a_low": "0.07",
    "a_high": "0.073", "b": "0.2", "c": "0.5", "predicted": "0.07", "observed": "0.069", "error": "0.001",
}  # fmt: skip


def test_laws_in_words_and_figures(tmp_path: Path) -> None:
    flat = {"law": "log", "reason": "a constant explains it as well"}
    turned = {**FITTED, "along": "flops_per_user", "preferred": "false", "turning_x": "200.0", "held_out_x": ""}
    level = {"metric": "hrecall@2", "law": "log", "reason": "three points", "group": "1", "seen": "remove"}
    assert laws_section(law_file(tmp_path, FITTED, flat, turned, level, level | {"law": "power"})) == [
        "**Amazon Beauty**, test targets of 1,000 users, past items kept, `generator=small` `reward=dot` "
        "`training=joint`, W = 20, λ = 1.0, seeds 0 1",
        "",
        "- R@10 against candidates: The power law predicts best. No turning point: nowhere is more shown to hurt. "
        "Not fitted: log, for a constant explains it as well.",
        "- R@10 against FLOPs per user: The power law predicts best. From 200 on more hurts.",
        "",
        "| curve | law | a | b | c | x0 | held-out x | predicted | observed | error |",
        "|---|---|---|---|---|---|---|---|---|---|",
        "| R@10 against candidates | **power: a − b·x^−c** | 0.0712 (0.07 to 0.073) | 0.2 | 0.5 | 20 | 800 | 0.07 "
        "| 0.069 | 0.001 |",
        "| R@10 against FLOPs per user | power: a − b·x^−c | 0.0712 (0.07 to 0.073) | 0.2 | 0.5 | 20 | – | 0.07 "
        "| 0.069 | 0.001 |",
        "",
        "**Amazon Beauty**, test targets of 1,000 users, past items removed, `generator=small` `reward=dot` "
        "`training=joint`, W = 20, λ = 1.0, seeds 0 1",
        "",
        "- HRecall@2 against candidates: The power law predicts best. No turning point: nowhere is more shown to hurt. "
        "Not fitted: log and power, for three points.",
    ]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", f"{','.join(DRIFT_COLUMNS)}\n"])
def test_wrong_tables_are_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    for make, column in ((drift_section, "measure"), (laws_section, "verdict")):
        with pytest.raises(ValueError, match=rf"x.csv must have at least one row, and the columns .*{column}"):
            make(path)


def test_sizes_in_words_and_figures(tmp_path: Path) -> None:
    path = tmp_path / "sizes.csv"
    base = {"data": "amazon_beauty", "split": "test", "users": 1000, "seed": 0, "seen": "keep", "candidates": 100}
    base |= {"guided": 0.06, "plain": 0.05, "guided_flops": 2e7, "plain_flops": 5e7}
    rows = [
        base | {"smaller": one, "larger": other, "width": width, "difference": d, "low": d - 0.01, "high": d + 0.01}
        for one, other, width, d in (
            ("tiny", "small", 10, 0.02), ("tiny", "small", 20, 0.03), ("tiny", "base", 10, 0.005),
            ("tiny", "base", 20, 0.02), ("small", "base", 10, 0.02), ("small", "base", 20, -0.02),
        )
    ]  # fmt: skip
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, SIZE_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    lines = sizes_section(path)
    assert lines[0].startswith("Amazon Beauty, test targets of 1,000 users, past items kept. Each smaller generator")
    assert lines[2:5] == [
        "- `tiny` guided ≥ `small` plain: true (better in 2, not told apart in 0, worse in 0 of 2 "
        "comparisons), at 0.40 of its FLOPs.",
        "- `tiny` guided ≥ `base` plain: not contradicted (better in 1, not told apart in 1, worse in 0 of 2 "
        "comparisons), at 0.40 of its FLOPs.",
        "- `small` guided ≥ `base` plain: **false** (better in 1, not told apart in 0, worse in 1 of 2 "
        "comparisons), at 0.40 of its FLOPs.",
    ]
    assert lines[8] == "| 0 | 10 | 100 | tiny | .0600 | 20 M | small | .0500 | 50 M | +.0200 (.0100 to .0300) |"
