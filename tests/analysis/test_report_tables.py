"""The tables of the report, on small rows that are written out."""

from pathlib import Path
from typing import Any

import pytest

from promise.analysis.report_tables import front_table, halves_table, methods_table, points_table, published_table
from promise.analysis.results import write_results


def measured(method: str, seed: int = 0, recall: float | None = 0.05, **values: Any) -> dict[str, Any]:
    metrics = {"recall@5": 0.03, "ndcg@5": None, "recall@10": recall, "ndcg@10": 0.02}
    return {"method": method, "half": "all", "seed": seed, **metrics, "flops_per_user": 5e6} | values


def compared(against: str, low: float, **values: Any) -> dict[str, Any]:
    ends = {"difference": 0.01, "low": low, "high": 0.02, "seed_min": 0.001, "seed_max": 0.02}
    return {"against": against, "metric": "recall@10", "half": "all", **ends} | values


def test_methods_in_their_order_over_seeds_with_claims_in_bold() -> None:
    rows = [measured("guided"), measured("plain"), measured("plain", 1, 0.07), measured("popularity", recall=None)]
    rows[3]["flops_per_user"] = None
    lines = methods_table(rows, [compared("plain", 0.001), compared("popularity", -0.001, metric="ndcg@10")])
    assert lines == [
        "| method | seeds | R@5 | N@5 | R@10 | N@10 | FLOPs per user | guided − it, R@10 | guided − it, N@10 |",
        "|---|---|---|---|---|---|---|---|---|",
        "| `popularity` | 1 | .0300 | – | – | .0200 | – | – | +.0100 (−.0010 to .0200) |",
        "| `plain` | 2 | .0300 | – | .0600 (.0500–.0700) | .0200 | 5 M | **+.0100 (.0010 to .0200)** | – |",
        "| `guided` | 1 | .0300 | – | .0500 | .0200 | 5 M |  |  |",
    ]


def test_halves_side_by_side() -> None:
    rows = [measured("plain"), measured("plain", half="above"), measured("plain", half="below", recall=0.01)]
    lines = halves_table(rows, [compared("plain", 0.001, half="below")])
    assert lines == [
        "| method | R@10 above | N@10 above | R@10 below | N@10 below | guided − it, R@10 above | "
        "guided − it, R@10 below |",
        "|---|---|---|---|---|---|---|",
        "| `plain` | .0500 | .0200 | .0100 | .0200 | – | **+.0100 (.0010 to .0200)** |",
    ]
    assert halves_table([measured("plain")], []) == []


def test_published_figures() -> None:
    row = {"method": "M", "recall@5": None, "ndcg@5": None, "recall@10": 0.1, "ndcg@10": 0.05}
    assert published_table([row | {"source": "a paper", "note": None}])[2:] == [
        "| M | – | – | .1000 | .0500 | a paper |  |"
    ]


def point(**values: Any) -> dict[str, Any]:
    base = {"data": "amazon_beauty", "split": "test", "users": 1000, "seed": 0, "seen": "keep", "search": "guided"}
    metrics = {"recall@10": 0.06, "recall@10_low": 0.05, "recall@10_high": 0.07, "ndcg@10": 0.03}
    return base | metrics | {"search.control": "none", "flops_per_user": 1e7, "status": "done"} | values


def test_points_show_the_dials_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "weight-x.csv"
    rows = [point(**{"search.weight": weight, "search.width": 20}) for weight in (0.5, 1)]
    rows.append(point(search="plain", **{"search.width": 20, "search.control": None, "recall@10_low": None}))
    write_results([*rows, point(status="failed", error="ValueError: no")], path)
    assert points_table(path) == [
        "Amazon Beauty, test targets of 1,000 users, seed 0, past items kept.",
        "",
        "| search | λ | R@10 | N@10 | FLOPs per user |",
        "|---|---|---|---|---|",
        "| `plain` | – | .0600 | .0300 | 10 M |",
        "| `guided` | 0.5 | .0600 (.0500–.0700) | .0300 | 10 M |",
        "| `guided` | 1 | .0600 (.0500–.0700) | .0300 | 10 M |",
    ]


def test_the_front_of_a_study(tmp_path: Path) -> None:
    path = tmp_path / "tune-x.csv"
    trials = ((10, 0.05, 1e7), (20, 0.07, 2e7), (40, 0.07, 4e7), (15, 0.04, 1.5e7))
    write_results([point(**{"search.width": w, "recall@10": r, "flops_per_user": f}) for w, r, f in trials], path)
    lines = front_table(path)
    assert lines[0].endswith("Of 4 points, those that no other beats in recall@10 at the same or fewer FLOPs.")
    assert [line.split(" | ")[1] for line in lines[4:]] == ["10", "20"]


def test_seeds_that_differ_are_a_column(tmp_path: Path) -> None:
    write_results([point(), point(seed=1)], tmp_path / "a.csv")
    lines = points_table(tmp_path / "a.csv")
    assert lines[0] == "Amazon Beauty, test targets of 1,000 users, past items kept."
    assert lines[2].startswith("| search | seed |")
    assert [line.split(" | ")[1] for line in lines[4:]] == ["0", "1"]


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "search,recall@10,status\nguided,0.1,done\n", "search,status\n,failed\n"]
)
def test_what_is_no_sweep(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=r"must be a sweep's results.csv with at least one point that is done"):
        points_table(tmp_path / "a.csv")
