"""Sizes: which points are compared, that the differences are those of the ranks, the file."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promise.analysis.report.sweep_tables import SIZE_COLUMNS
from promise.experiments.findings import Measured
from promise.experiments.sizes import shown, size_rows, write_sizes
from promise.metrics.ranking import NOT_RANKED

PARAMETERS = {"tiny": 10, "small": 20, "base": 30}


def point(search: str, generator: str, width: int = 10, candidates: int | None = None, share: float = 0.2, **row: Any):
    ranks = np.where(np.arange(400) < share * 400, 0, NOT_RANKED).astype(np.int64)
    base = {
        "data": "d", "split": "test", "users": 400, "seed": 0, "seen": "keep", "search": search, "recall@10": share,
        "generator": generator, "reward": "dot", "training": "joint", "search.width": width, "search.control": None,
        "search.candidates": candidates or width, "search.weight": float(search == "guided"),
        "flops_per_user": 5.0 * PARAMETERS[generator], "parameters": PARAMETERS[generator] + 5 * (search == "guided"),
    }  # fmt: skip
    return Measured(base | row, ranks)


def compared(points: list[Measured]) -> list[tuple[Any, ...]]:
    return [(row["smaller"], row["larger"], row["width"], row["candidates"]) for row in size_rows(points)]


def test_every_smaller_guided_one_against_every_larger_plain_one() -> None:
    plain = [point("plain", name, width) for name in PARAMETERS for width in (10, 20)]
    guided = [point("guided", name, 10, c) for name in PARAMETERS for c in (100, 20)]
    assert compared([*guided, *plain]) == [
        ("tiny", "small", 10, 100), ("tiny", "base", 10, 100), ("small", "base", 10, 100)
    ]  # fmt: skip
    assert compared(plain) == compared(guided) == []


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"seen": "remove"}, {"reward": "cross_attention"}, {"training": "staged"}, {"search.weight": 0.5},
     {"search.control": "shuffled"}, {"search.width": 20}, {"recall@10": None}],
)  # fmt: skip
def test_what_is_not_compared(changes: dict[str, Any]) -> None:
    plain = [point("plain", name) for name in ("tiny", "small")]
    assert compared([*plain, point("guided", "tiny", 10, 100)])
    assert not compared([*plain, point("guided", "tiny", 10, 100, **changes)])


def test_one_size_with_other_ids_or_another_seed_is_no_larger_one() -> None:
    ids = [point("plain", "tiny"), point("plain", "tiny", parameters=14), point("guided", "tiny", 10, 100)]
    assert not compared(ids) and not compared(ids[::-1])
    seeds = [point("plain", "tiny", seed=seed, parameters=10 - seed) for seed in (0, 1)]
    assert not compared([*seeds, *(point("guided", "tiny", 10, 100, seed=seed) for seed in (0, 1))])


def test_differences_and_the_file(tmp_path: Path) -> None:
    small = point("plain", "small", share=0.25)
    rows = [
        row
        for share in (0.5, 0.25, 0.125)
        for row in size_rows([point("plain", "tiny"), point("guided", "tiny", 10, 40, share), small])
    ]
    assert [row["difference"] for row in rows] == pytest.approx([0.25, 0, -0.125])
    assert rows[0]["low"] < 0.25 < rows[0]["high"]
    assert [line[-1] for line in shown(rows)] == ["above 0", "not told apart", "below 0"]
    assert [line[6] for line in shown(rows)] == [0.5] * 3
    paths = write_sizes(rows, tmp_path)
    with open(paths["sizes"], newline="") as file:
        kept = list(csv.DictReader(file))
    assert tuple(kept[0]) == SIZE_COLUMNS and [row["smaller"] for row in kept] == ["tiny"] * 3
    assert [float(row["difference"]) for row in kept] == [row["difference"] for row in rows]
