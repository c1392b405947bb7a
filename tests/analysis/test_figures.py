"""What the figures draw: the data, the names, the units; and that odd tables draw without a warning."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from promise.analysis.drawing import BESIDE
from promise.analysis.figures import (
    flop_unit,
    flops_words,
    frontier_figure,
    metric_name,
    save_figure,
    scaling_figure,
    weight_figure,
)
from promise.analysis.gallery import choose_figure
from promise.analysis.results import results_table


def lines(ax: Axes) -> dict[str, tuple[list[float], list[float]]]:
    """The named lines of a panel as (xs, ys)."""
    return {
        str(line.get_label()): (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for line in ax.lines
        if not str(line.get_label()).startswith("_")
    }


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_left_panel(sweep) -> None:
    left, _ = scaling_figure(results_table(sweep)).axes
    drawn = lines(left)
    assert drawn["guided, W = 20"] == ([20, 40, 80, 200], pytest.approx([0.061, 0.062, 0.064, 0.07]))
    assert drawn["plain beam"][0] == [10, 20, 50]
    assert drawn["exhaustive, λ = 1"][1] == [0.0721, 0.0721]  # horizontal
    assert set(drawn) <= set(texts(left))
    assert left.get_xscale() == "log"
    assert left.get_xlabel() == "Candidates C scored per level (paths, log scale)"
    assert left.get_ylabel() == "Recall@10 (share of users)"
    assert [label.get_text() for label in left.get_xticklabels()] == ["10", "20", "40", "50", "100", "200"]


def test_bands_are_the_intervals(sweep) -> None:
    left, _ = scaling_figure(results_table(sweep)).axes
    band = left.collections[-1].get_paths()[0].vertices  # the last line with a band: guided, W = 20
    assert band[:, 1].min() == pytest.approx(0.061 - 0.003)
    assert band[:, 1].max() == pytest.approx(0.07 + 0.003)


def test_right_panel(sweep) -> None:
    left, right = scaling_figure(results_table(sweep)).axes
    drawn = lines(right)
    assert drawn["plain beam"] == (pytest.approx([52, 88, 196]), pytest.approx([0.0501, 0.0502, 0.0505]))
    assert drawn["exhaustive, λ = 1"] == ([11.0], [0.0721])
    assert right.get_xlabel() == "MFLOP per user (log scale; one multiply-add = 2 FLOP)"
    assert {"W = 10", "20", "50"} <= set(texts(right))
    assert left.get_ylim() == right.get_ylim()
    # Exhaustive search is cheapest and best here, so it alone is the frontier.
    assert drawn["frontier"][0][0] == 11.0
    assert set(drawn["frontier"][1]) == {0.0721}


def test_title_and_footnote(sweep) -> None:
    figure = scaling_figure(results_table([*sweep, {"search": "plain", "status": "failed"}]))
    assert figure.get_suptitle() == "amazon_beauty · test split · 22,363 users"
    assert "95 % bootstrap interval over users" in figure.get_supxlabel()
    assert "Left out: 1 of 14 points, failed or without recall@10." in figure.get_supxlabel().replace("\n", " ")
    two = scaling_figure(results_table([*sweep, dict(sweep[0], split="validation", users=2000)]))
    assert two.get_suptitle() == "amazon_beauty · several split · several users"


def test_seeds_are_dots_and_the_note_says_so(sweep) -> None:
    figure = scaling_figure(results_table([dict(row, seed=seed) for row in sweep for seed in (0, 1)]))
    assert "Lines: mean over seeds; dots: single seeds." in figure.get_supxlabel()
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "."]
    assert len(dots) == 3 + 8  # one stack for each point with candidates


def test_widths_are_joined_when_each_has_one_c(row) -> None:
    rows = [row("guided", 0.06 + w / 1e4, w * 1e6, width=w, candidates=4 * w, weight=1.0) for w in (10, 20, 50)]
    left, right = choose_figure(results_table(rows)).axes
    assert lines(left)["guided"][0] == [40, 80, 200]
    assert {"W = 10", "20", "50"} <= set(texts(right))


def test_a_low_baseline_does_not_squeeze_the_curves(sweep, row) -> None:
    rows = [*sweep, row("popularity", 0.0115, None), row("co_visit", 0.0641, None)]
    left, right = scaling_figure(results_table(rows)).axes
    for ax in (left, right):
        assert ax.get_ylim()[0] > 0.04
        assert "popularity ↓ 0.0115" in texts(ax)
        assert lines(ax)["co-visit"][1] == [0.0641, 0.0641]


def test_weight_figure(row) -> None:
    rows = [row("guided", 0.05 + x / 100, 1e8, width=20, candidates=80, weight=x) for x in (0.0, 0.5, 1.0)]
    rows.append(row("plain", 0.05, 1e8, width=20))
    (ax,) = weight_figure(results_table(rows)).axes
    assert lines(ax)["guided, W = 20"] == ([0.0, 0.5, 1.0], pytest.approx([0.05, 0.055, 0.06]))
    assert lines(ax)["plain beam, W = 20"][1] == [0.05, 0.05]
    assert ax.get_xlabel() == "λ (0 = likelihood alone: the plain beam; 1 = reward alone)"
    (dot,) = [line for line in ax.lines if line.get_marker() == "s" and list(line.get_xdata()) == [0.0]]
    assert list(dot.get_ydata()) == [0.05]


def test_frontier_figure(row) -> None:
    rows = [
        row("plain", 0.04 + w / 1e4, f * w, width=w, generator=g)
        for g, f in (("tiny", 1e8), ("base", 1e9))
        for w in (10, 20)
    ]
    (ax,) = frontier_figure(results_table(rows)).axes
    assert lines(ax)["tiny, plain beam"] == (pytest.approx([1, 2]), pytest.approx([0.041, 0.042]))
    assert lines(ax)["base, plain beam"][0] == pytest.approx([10, 20])
    assert ax.get_xlabel().startswith("GFLOP per user")


def test_the_knee_is_ringed_where_three_points_can_bend(row) -> None:
    rows = [row("plain", v, w * 1e6, width=w) for w, v in ((10, 0.01), (20, 0.05), (40, 0.055), (80, 0.056))]
    (ax,) = frontier_figure(results_table(rows)).axes
    assert lines(ax)["knee"] == ([20.0], [0.05])
    assert "knee" in texts(ax) and "ring: its knee" in ax.get_title(loc="left")
    (ax,) = frontier_figure(results_table(rows[:2])).axes
    assert "knee" not in lines(ax) and "ring" not in ax.get_title(loc="left")


def test_dials_drawn_at_random_are_dots_under_one_name(row) -> None:
    rows = [
        row("guided", 0.05 + i / 1e3, (20 + i) * 1e6, width=10 + i, candidates=40 + 7 * i, weight=i / 20)
        for i in range(1, 15)
    ]
    rows += [row("plain", 0.04 + i / 1e3, (15 + i) * 1e6, width=9 + i, candidates=9 + i) for i in range(12)]
    (ax,) = frontier_figure(results_table(rows)).axes
    (dots,) = [line for line in ax.lines if line.get_label() == "guided, dials vary"]
    assert (dots.get_linestyle(), len(dots.get_xdata())) == ("None", 14)
    assert "plain beam" in texts(ax)
    (ax,) = weight_figure(results_table(rows)).axes
    assert "plain beam, dials vary" in texts(ax) and "guided, dials vary" in texts(ax)
    assert [
        line.get_label() for line in ax.lines if len(set(line.get_ydata())) == 1 and len(line.get_xdata()) > 2
    ] == []


def test_a_long_note_is_wrapped_to_the_figure(row) -> None:
    rows = [row("plain", 0.05, 1e8, width=w) for w in (10, 20)] + [{"search": "plain", "status": "failed"}]
    figure = frontier_figure(results_table([each | {"seed": seed} for each in rows for seed in (0, 1)]))
    assert len(figure.get_supxlabel().splitlines()) == 2
    figure.draw_without_rendering()
    assert figure._supxlabel.get_window_extent().x1 <= figure.get_size_inches()[0] * figure.dpi


ODD = {
    "nothing": lambda sweep, row: [],
    "only plain": lambda sweep, row: sweep[:3],
    "one point": lambda sweep, row: sweep[:1],
    "only exhaustive": lambda sweep, row: sweep[-2:],
    "only baselines": lambda sweep, row: [row("popularity", 0.01, None), row("co_visit", 0.06, None)],
    "per level": lambda sweep, row: [
        row("guided", 0.06, 1e8, width=[50, 20], candidates=[50, 80]),
        row("plain", 0.05, 9e7, width=[50, 20]), *sweep,
    ],
    "no metric": lambda sweep, row: [row("plain", None, 1e8, width=5)],
    "no flops": lambda sweep, row: [dict(each, flops_per_user=None) for each in sweep],
    "no intervals": lambda sweep, row: [dict(each, **{"recall@10_low": None}) for each in sweep],
    "zero": lambda sweep, row: [row("plain", 0.0, 1e8, width=w) for w in (1, 2)],
    "perfect": lambda sweep, row: [row("plain", 1.0, 1e20, width=1)],
    "failed": lambda sweep, row: [dict(sweep[0], status="failed", error="x")],
    "odd names": lambda sweep, row: [dict(each, data="a_$b$_{", generator="n_$") for each in sweep],
    "new search": lambda sweep, row: [*sweep, row("best_of_n", 0.055, 3e8)],
    "a study": lambda sweep, row: [
        row("guided", 0.05 + i / 1e3, (20 + i) * 1e6, width=10 + i, candidates=40 + 7 * i, weight=i / 20) | {"trial": i}
        for i in range(1, 15)
    ],
    "many": lambda sweep, row: [
        row("guided", 0.05 + w / 1e5 + x / 100, w * 1e6 + e, width=w, candidates=w * e, weight=x)
        for w in (1, 5, 10, 50, 100, 500) for e in (1, 10) for x in (0.0, 0.5, 1.0)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_tables_draw_with_labels_inside_and_apart(name: str, sweep, row) -> None:
    figure = choose_figure(results_table(ODD[name](sweep, row)))
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    for ax in figure.axes:
        boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
        assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)
        names = [b for t, b in zip(ax.texts, boxes, strict=True) if t.get_position() == (BESIDE, 0)]
        for one, other in itertools.combinations(names, 2):
            assert one.y1 <= other.y0 + 2 or other.y1 <= one.y0 + 2


def test_empty_figure_says_why(row) -> None:
    figure = scaling_figure(results_table([row("plain", None, 1e8, width=5)]))
    assert texts(figure.axes[0]) == ["no finished point has recall@10"]


def test_saving(sweep, tmp_path: Path) -> None:
    svg, png = save_figure(scaling_figure(results_table(sweep)), tmp_path / "new" / "curve.v1")
    assert (svg.name, png.name) == ("curve.v1.svg", "curve.v1.png")
    assert png.read_bytes().startswith(b"\x89PNG")
    again, _ = save_figure(scaling_figure(results_table(sweep)), tmp_path / "again")
    assert svg.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("recall@10", "Recall@10 (share of users)"),
        ("ndcg@5", "NDCG@5 (mean over users, 0 to 1)"),
        ("hrecall@2", "HRecall at level 2 (share of users)"),
    ],
)
def test_metric_name(metric: str, name: str) -> None:
    assert metric_name(metric) == name


@pytest.mark.parametrize(
    ("flops", "unit"),
    [([], "FLOP"), ([500.0], "FLOP"), ([1.1e7, 5e7, 1e9], "MFLOP"), ([8e9], "GFLOP"), ([1e30], "PFLOP")],
)
def test_flop_unit(flops: list[float], unit: str) -> None:
    size, name = flop_unit(flops)
    assert name == unit
    assert size == 1000.0 ** ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP").index(unit)


@pytest.mark.parametrize(
    ("flops", "words"), [(0.0, "0 FLOP"), (950.0, "950 FLOP"), (1.94e6, "1.94 MFLOP"), (3e10, "30 GFLOP")]
)
def test_flops_words(flops: float, words: str) -> None:
    assert flops_words(flops) == words


@pytest.mark.parametrize("draw", [scaling_figure, weight_figure, frontier_figure, choose_figure])
def test_error_metric(draw, sweep) -> None:
    with pytest.raises(ValueError, match=r"^metric must be a column of the results .* got recall@7$"):
        draw(results_table(sweep), "recall@7")


def test_another_metric(sweep) -> None:
    figure = scaling_figure(results_table(sweep), "ndcg@10")
    assert isinstance(figure, Figure)
    assert lines(figure.axes[0])["plain beam"][1] == pytest.approx([0.02505, 0.0251, 0.02525])
