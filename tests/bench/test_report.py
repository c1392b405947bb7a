"""Table, CSV and JSON of measures that are written out."""

import csv
from pathlib import Path

import pytest
import torch

from promise.bench import report
from promise.bench.measure import Measure

FASTER = Measure("vs_peer", "users/s", 1200.0, 100.0, 12.0, goal=10.0, low=11.0, high=13.5, note="W=50")
SLOWER = Measure("share", "ms", 1 / 3, 2.0, 1 / 6, goal=0.1, direction="at most", dtype="bfloat16")
PLAIN = Measure("crossing", "items", None)
ALL = (FASTER, SLOWER, PLAIN)


def test_the_table_says_what_was_met(capsys: pytest.CaptureFixture[str]) -> None:
    report.show_table("what=search", ALL)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["what=search"] in lines
    assert ["vs_peer", "1,200", "100", "users/s", "12", "≥", "10", "met", "W=50"] in lines
    assert ["share", "0.3333", "2", "ms", "0.1667", "≤", "0.1", "missed"] in lines
    assert ["crossing", "–", "–", "items", "–"] in lines
    assert " ".join(lines[-1]) == (
        f"{report.machine()}; {torch.get_num_threads()} threads; bfloat16, float32; {report.versions()}"
    )


def test_the_csv_has_every_figure_and_its_range(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.csv"
    report.save(ALL, path)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == report.COLUMNS
    faster, slower, plain = rows
    figures = ["vs_peer", "1200.0", "100.0", "users/s", "12.0", "10.0", "met", "11.0", "13.5", "W=50"]
    assert list(faster.values())[:10] == figures
    assert (slower["met"], slower["ratio"], slower["dtype"]) == ("missed", "0.166667", "bfloat16")
    assert (plain["met"], plain["ours"], plain["goal"]) == ("", "", "")
    assert all(row["machine"] == report.machine() and row["versions"] == report.versions() for row in rows)
    assert [file.name for file in path.parent.iterdir()] == ["bench.csv"]
