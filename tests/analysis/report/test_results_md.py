"""RESULTS.md: what the rows say stands there, what has no rows is left out, wrong files are one line."""

import csv
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from promise.analysis.report.headline import COMPARISON_COLUMNS, COMPARISON_KEY, ROW_COLUMNS, ROW_KEY, write_table
from promise.analysis.report.results_md import build
from promise.analysis.report.sweep_tables import DRIFT_COLUMNS, LAW_COLUMNS
from promise.analysis.results import write_results


def measured(method: str = "guided", **values: Any) -> dict[str, Any]:
    base = dict.fromkeys(ROW_COLUMNS) | {"dataset": "my_shop", "seen": "keep", "half": "all", "split": "test"}
    base |= {"method": method, "seed": 0, "recall@10": 0.05, "ndcg@10": 0.02, "flops_per_user": 1e6}
    return base | {"command": "promise evaluate experiment=mine search.width=30"} | values


def compared(against: str, difference: float, **values: Any) -> dict[str, Any]:
    base = {"dataset": "my_shop", "seen": "keep", "half": "all", "split": "test", "metric": "recall@10", "users": 9000}
    base |= {"method": "guided", "against": against, "difference": difference, "seeds": 1}
    ends = {name: difference + step for name, step in
            (("low", -0.01), ("high", 0.01), ("seed_min", 0), ("seed_max", 0))}  # fmt: skip
    return base | ends | values


def write(folder: Path, rows: list[dict[str, Any]], comparisons: list[dict[str, Any]]) -> str:
    for name, found, columns, key in (("headline", rows, ROW_COLUMNS, ROW_KEY),
                                      ("comparisons", comparisons, COMPARISON_COLUMNS, COMPARISON_KEY)):  # fmt: skip
        write_table(pl.DataFrame(found, schema=columns, infer_schema_length=None), folder / f"{name}.csv", key)
    return build(folder)


def rows_of(folder: Path, name: str, columns: tuple[str, ...], *rows: dict[str, Any]) -> None:
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def part(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n")[1].split("\n## ")[0].strip()


def test_no_rows_at_all(tmp_path: Path) -> None:
    text = build(tmp_path)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "Answer", "How to read it", "Headline", "Where guided search does not win"
    ]  # fmt: skip
    assert text.count("Nothing can be said yet") == 2
    with pytest.raises(ValueError, match=r"^no folder of results: .*none$"):
        build(tmp_path / "none")


def test_rows_notes_goals_and_figures_from_elsewhere(tmp_path: Path) -> None:
    goals = [("guided", "goal", 0.05, 0.02), ("plain", "must", 0.06, 0.01), ("orm", "must", 0.01, 0.01)]
    names = ("dataset", "seen", "method", "kind", "recall@10", "ndcg@10")
    wanted = [dict(zip(names, ("my_shop", "keep", *goal), strict=True)) for goal in goals]
    rows_of(tmp_path, "goals.csv", names, *wanted)
    figure = {"dataset": "my_shop", "seen": "keep", "source": "a paper"}
    rows_of(tmp_path, "published.csv",
            ("dataset", "seen", "method", "recall@5", "ndcg@5", "recall@10", "ndcg@10", "source", "note"),
            *(figure | {"method": name} | {metric: value} for name, metric, value in (
                ("HIGH", "recall@10", 0.06), ("LOW", "ndcg@10", 0.01), ("HIGHER", "recall@10", 0.07),
                ("SHARP", "ndcg@10", 0.03))))  # fmt: skip
    (tmp_path / "notes.md").write_text("Rows of *sasrec* were taken out.\n")
    rows = [measured(seed=0), measured(seed=1, **{"recall@10": 0.07}), measured("plain", further="counts")]
    rows += [measured("sasrec", split="validation"), measured("new_one")]
    pairs = [
        compared("plain", 0.02),
        compared("orm", 0.001),
        compared("new_one", -0.02),
        compared("sasrec", 0, split="validation"),
    ]
    text = write(tmp_path, rows, [*pairs, compared("plain", 0.001, half="above"), compared("orm", 0.05, half="above")])
    assert (
        "| .0600 | .0200 | 1 MFLOP (1 MFLOP) | **+.0200** (.0100 to .0300) | – | +.0010 (−.0090 to .0110) | – | –"
        in text
    )
    assert part(text, "Notes on these rows") == "Rows of *sasrec* were taken out."
    assert "| **My Shop**, 9,000 users, W = 30 |" in text and "`sasrec`" not in part(text, "Headline")
    lost = part(text, "Where guided search does not win")
    assert "| My Shop | `orm` +.0010, `new_one` **−.0200** | – | – | – |" in lost
    assert (
        "| My Shop | kept | .0600/.0200 | HIGHER .0700/–; SHARP –/.0300 |" in lost
    )  # means over seeds reach the others
    found = part(text, "Goals")
    assert "| `guided` | goal | .0500 | .0600 | .0200 | .0200 | met |" in found and "1 of 3" in found
    assert "| `orm` | must | .0100 | – | .0100 | – | not run |" in found
    assert "| `plain` | must | .0600 | .0500 | .0100 | .0200 | **missed** |" in found


def point(**values: Any) -> dict[str, Any]:
    base = {"data": "my_shop", "split": "test", "users": 1000, "seed": 0, "seen": "keep", "search": "guided"}
    metrics = {"recall@10": 0.06, "recall@10_low": 0.05, "recall@10_high": 0.07, "ndcg@10": 0.03}
    return base | metrics | {"search.control": "none", "flops_per_user": 1e7, "status": "done"} | values


def test_sweeps_and_analyses(tmp_path: Path) -> None:
    plain = point(search="plain", **{"search.weight": 0, "search.control": None, "recall@10_low": None})
    levels = point(**{"search.weight": [0, 1], "recall@10": 0.08})
    write_results([plain, levels, point(status="failed", error="no")], tmp_path / "depth-my_shop-test-0.csv")
    shared = {"dataset": "my_shop", "split": "test", "seed": 0, "seen": "remove", "users": 2000, "W": 20, "C": 200}
    rows_of(tmp_path, "drift-my_shop-test-0.csv", DRIFT_COLUMNS,
            shared | {"depth": 1, "measure": "net_rescue", "value": -0.02, "low": -0.03, "high": -0.01},
            shared | {"depth": 2, "measure": "hrecall_plain", "value": 0.5},
            shared | {"measure": "no_error", "value": 1})  # fmt: skip
    law = {"group": 0, "data": "my_shop", "split": "test", "users": 1000, "generator": "tiny", "reward": "dot"}
    law |= {"width": 20, "weight": 1.0, "metric": "recall@10", "along": "candidates", "further": "data.domains=[book]"}
    number = {"a": 0.07, "a_low": 0.06, "a_high": 0.08, "error": 0.001, "error_low": 0, "error_high": 0.002, "aicc": 1}
    columns = (*LAW_COLUMNS, "split")
    rows_of(tmp_path, "laws-my_shop-test-0.csv", columns,
            law | number | {"law": "power", "preferred": "false", "verdict": "v"},
            law | number | {"law": "line", "preferred": "true", "verdict": "v", "a": 0.05, "aicc": 9},
            law | {"metric": "hrecall@2", "law": "line", "preferred": "false", "reason": "it is steep"},
            law | number | {"metric": "hrecall@3", "law": "line", "preferred": "true", "verdict": "v"},
            law | {"group": 1, "law": "line", "preferred": "false", "reason": "it is flat"})  # fmt: skip
    text = build(tmp_path)
    assert "past items removed, W = 20, C = 200" in text and "| −.0200 (−.0300 to −.0100) | – |" in text
    curve = "tiny, dot, W = 20, λ = 1.0, data.domains=[book]"
    assert f": {curve} | R@10 | line | .0500 (.0600 to .0800) | – | +.0010 (.0000 to .0020) | v |" in text
    assert f"HRecall@2 of {curve}" not in text and "HRecall@3 | line" in text  # of the levels the last alone
    assert f".csv: no law carries R@10 of {curve}, the first reason is that it is flat." in text
    assert "| 2 | .0600 | 10 MFLOP | .0800 | 10 MFLOP |\n" in text
    several = [plain | {"data_fingerprint": name} for name in "ab"]
    write_results(several, tmp_path / "depth-my_shop-test-0.csv")
    assert "depth-my_shop" not in build(tmp_path)  # the best of two catalogues is the smaller one's


@pytest.mark.parametrize("name", ["weight", "drift", "laws"])
@pytest.mark.parametrize("text", ["", "search,recall@10,status\nguided,0.1,done\n"])
def test_files_that_are_not_what_their_names_say(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / f"{name}-shop-test-0.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=str(path)):
        build(tmp_path)
