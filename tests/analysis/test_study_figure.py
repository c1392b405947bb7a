"""The figure of a study: every trial in its place and unit, the front, and the proposed trial's dials."""

from pathlib import Path

import pytest

from promise.analysis.figures import save_figure
from promise.analysis.results import results_table
from promise.analysis.study_figure import study_figure

ROWS = [
    {
        "trial": number, "search": search, "search.width": width, "search.candidates": 4 * width, "search.weight": 0.8,
        "recall@10": recall, "recall@10_low": recall - 0.01, "recall@10_high": recall + 0.01, "users": 100,
        "flops_per_user": 3e6 * width, "seconds": 0.4 * width,
    }
    for number, (search, width, recall) in enumerate(
        [("plain", 10, 0.05), ("plain", 100, 0.06), ("guided", 10, 0.07), ("guided", 20, 0.08), ("guided", 50, 0.079)]
    )
]  # fmt: skip


@pytest.mark.parametrize(
    ("cost", "label", "xs"),
    [
        ("flops_per_user", "MFLOP per user (log scale; one multiply-add = 2 FLOP)", [30, 60, 150]),
        ("seconds_per_user", "Milliseconds per user (log scale)", [40, 80, 200]),
    ],
)
def test_trials_and_the_proposed_one(tmp_path: Path, cost: str, label: str, xs: list[float]) -> None:
    missing = {"trial": 5, "search": "guided", "search.width": 5, "recall@10": None, "flops_per_user": 1.0}
    figure = study_figure(results_table([*ROWS, missing]), "recall@10", cost, 3, "mine")
    (ax,) = figure.axes
    lines = {str(line.get_label()): line for line in ax.lines}
    assert {"plain (2 trials)", "guided (3 trials)", "frontier"} <= set(lines)
    assert list(lines["guided (3 trials)"].get_xdata()) == pytest.approx(xs)
    assert list(lines["guided (3 trials)"].get_ydata()) == [0.07, 0.08, 0.079]
    assert list(lines["frontier"].get_ydata())[:2] == [0.07, 0.08]
    assert ax.get_xlabel() == label and ax.get_ylabel() == "Recall@10 (share of users)" and ax.get_xscale() == "log"
    ring = lines["proposed, trial 3: guided W = 20, C = 80, λ = 0.8"]
    assert (list(ring.get_xdata()), list(ring.get_ydata())) == ([pytest.approx(xs[1])], [0.08])
    assert figure.get_suptitle() == "mine"
    assert all(path.stat().st_size > 5000 for path in save_figure(figure, tmp_path / "figure"))


def test_nothing_to_draw() -> None:
    figure = study_figure(results_table(ROWS).clear(), "recall@10", "flops_per_user", None, "mine")
    assert not figure.axes[0].texts
