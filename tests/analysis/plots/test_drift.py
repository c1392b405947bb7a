"""What the figure of the drift analysis draws, and that tables with gaps draw without a warning."""

from typing import Any

import polars as pl
import pytest
from matplotlib.axes import Axes

from promise.analysis.plots.drift import drift_figure
from tests.analysis.plots.artists import lines

COLUMNS = ("dataset", "split", "seed", "seen", "users", "W", "C", "depth", "measure", "value", "low", "high")
MEASURES: dict[str, list[float | None]] = {
    "teacher_forced": [0.2, 0.3, 0.8],
    "free_running": [0.2, 0.1, 0.1],
    "free_running_prefix": [0.2, 0.05, 0.02],
    "first_error": [0.8, 0.15, 0.03, 0.02],
    "after_error_free_running": [None, 0.02, 0.03],
    "after_error_teacher_forced": [None, 0.2, 0.7],
    "hrecall_plain": [0.5, 0.3, 0.2, 0.1],
    "hrecall_guided": [0.5, 0.32, 0.25, 0.14],
    "hrecall_oracle": [0.9, 0.6, 0.6, 0.6],
    "rescue": [0.02, 0.04, 0.07, 0.06],
    "damage": [0.02, 0.02, 0.02, 0.02],
    "proposal_recall": [0.95, 0.4, 0.3],
    "reward_mrr": [None, 0.25, 0.3],
    "likelihood_mrr": [0.2, 0.2, 0.2],
    "reward_median_rank": [None, 14.0, 9.5],
    "likelihood_median_rank": [16.0, 15.0, 14.0],
    "reward_ece": [None, 0.05, 0.04],
}
FINAL = {"first_error": "no_error", "rescue": "rescue@10", "damage": "damage@10"}


def made(measures: dict[str, list[float | None]], **changes: Any) -> pl.DataFrame:
    """A table of three levels; a fourth value is that of the final list."""
    where = {"dataset": "toys", "split": "test", "seed": 0, "seen": "keep", "users": 1000, "W": 20, "C": 200, **changes}
    rows = []
    for name, values in measures.items():
        for depth, value in enumerate(values, 1):
            if value is not None:
                measure = name if depth <= 3 else FINAL.get(name, name.replace("hrecall", "recall@10"))
                ends = {} if name.endswith("ece") else {"low": value * 0.9, "high": value * 1.1}
                row = {"depth": depth if depth <= 3 else None, "measure": measure, "value": value, **ends}
                rows.append({**where, **row})
    return pl.DataFrame(rows, schema=list(COLUMNS)) if rows else pl.DataFrame(schema=list(COLUMNS))


def panels(table: pl.DataFrame) -> dict[str, Axes]:
    """The panels by their names."""
    return {str(ax.get_label()): ax for ax in drift_figure(table).axes}


def bars(ax: Axes) -> dict[float, list[float]]:
    """Heights of the bars of a panel, by the middle of their foot."""
    found: dict[float, list[float]] = {}
    for bar in ax.patches:
        found.setdefault(round(bar.get_x() + bar.get_width() / 2, 6), []).append(round(bar.get_height(), 6))
    return found


def test_lines_are_the_measures_and_bars_are_shares_of_users() -> None:
    drawn = panels(made(MEASURES))
    codes = lines(drawn["codes"])
    assert codes["after true codes"] == ([1, 2, 3], [0.2, 0.3, 0.8])
    assert codes["after own codes"][1] == [0.2, 0.1, 0.1] and codes["whole path right"][1] == [0.2, 0.05, 0.02]
    beams = lines(drawn["beams"])
    assert beams["plain"] == ([1, 2, 3, 4], [0.5, 0.3, 0.2, 0.1]) and beams["oracle"][1] == [0.9, 0.6, 0.6, 0.6]
    ranks = lines(drawn["ranks"])
    assert ranks["by reward"] == ([2, 3], [0.25, 0.3]) and ranks["by likelihood"][0] == [1, 2, 3]
    judges = lines(drawn["judges"])
    assert judges["true prefix is a candidate"][1] == [0.95, 0.4, 0.3]
    assert judges["calibration error, reward"] == ([2, 3], [0.05, 0.04])
    assert bars(drawn["errors"]) == {1: [0.8], 2: [0.15], 3: [0.03], 4: [0.02]}
    assert bars(drawn["changes"]) == {1: [0.02, -0.02], 2: [0.04, -0.02], 3: [0.07, -0.02], 4: [0.06, -0.02]}
    after = lines(drawn["errors"])
    assert after["after own codes"][1] == [0.02, 0.03] and after["after true codes"][1] == [0.2, 0.7]


@pytest.mark.parametrize("left_out", ["first_error", "reward_mrr", "all but one"])
def test_what_is_not_there_is_left_out(left_out: str) -> None:
    some = {name: values for name, values in MEASURES.items() if name != left_out}
    if left_out == "all but one":
        some = {"teacher_forced": [0.5]}
    assert len(drift_figure(made(some)).axes) == 6
    assert "W = 20, C = 200" in drift_figure(made(some, users=7)).get_suptitle()
