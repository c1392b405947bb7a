"""The depth ablation: settings in order, their names, values and intervals."""

import numpy as np
import pytest

from promise.analysis.depth_figure import depth_figure, depth_settings
from promise.analysis.results import results_table


@pytest.fixture
def ablation(row) -> list[dict]:
    """The reward at no level, at one, at two, at all; an ORM; and points of other dials."""
    settings = (([0, 0, 1], 0.07), ([1, 0, 0], 0.06), ([0, 1, 1], 0.075), (1.0, 0.08))
    rows = [row("guided", v, 5e7, width=20, candidates=80, weight=w) for w, v in settings]
    rows.append(row("plain", 0.05, 5e7, width=20, candidates=20, weight=0.0))
    rows.append(row("orm", 0.078, 1e8, width=20, candidates=80, weight=1.0))
    rows.append(row("guided", 0.2, 5e7, width=20, candidates=400, weight=1.0))
    rows.append(row("guided", 0.2, 5e7, width=20, candidates=80, weight=0.5))
    rows.append(row("plain", 0.2, 5e7, width=50, candidates=50, weight=0.0))
    return rows


def test_settings(ablation) -> None:
    shared, settings = depth_settings(results_table(ablation))
    assert shared == "small, W = 20, C = 80, λ = 1"
    assert [(each.name, each.value) for each in settings] == [
        ("no level (plain beam)", 0.05), ("level 1 only", 0.06), ("level 3 only", 0.07), ("levels 2, 3", 0.075),
        ("all 3 levels", 0.08), ("ORM", 0.078),
    ]  # fmt: skip
    assert (settings[1].low, settings[1].high) == pytest.approx((0.057, 0.063))


def test_seeds_are_averaged_and_missing_intervals_have_no_extent(ablation) -> None:
    rows = [each | {"seed": seed, "recall@10": each["recall@10"] + seed / 100} for each in ablation for seed in (0, 1)]
    _, settings = depth_settings(results_table([each | {"recall@10_low": None} for each in rows]))
    assert settings[0].value == settings[0].low == pytest.approx(0.055)


def test_figure(ablation) -> None:
    figure = depth_figure(results_table(ablation))
    (ax,) = figure.axes
    points = {str(line.get_label()): np.asarray(line.get_xdata())[0] for line in ax.lines if line.get_marker() in "os^"}
    assert points["all 3 levels"] == 0.08 and points["ORM"] == 0.078
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == ["no level (plain beam)", "level 1 only"]
    assert ax.get_xlabel() == "Recall@10 (share of users)"
    assert ax.get_title(loc="left") == (
        "Accuracy by the levels at which the reward selects (small, W = 20, C = 80, λ = 1)"
    )
    assert {"0.0800", "0.0780"} <= {text.get_text() for text in ax.texts}
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [text.get_window_extent() for text in ax.texts]
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)


def test_error(sweep) -> None:
    assert depth_settings(results_table(sweep)) == ("", [])
    with pytest.raises(ValueError, match=r"^search.weight must be 0 at some levels and above 0 at others"):
        depth_figure(results_table(sweep))
