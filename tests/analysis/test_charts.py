"""The interactive charts: the same data as the figures, log axes, units, escaped names."""

import numpy as np
import pytest

from promise.analysis.charts import CHARTS, charts, dials_chart, drift_chart
from promise.analysis.results import results_table


def traces(chart) -> dict[str, object]:
    return {trace.name: trace for trace in chart.data if trace.name}


def test_candidates(sweep, row) -> None:
    chart = charts(results_table([*sweep, row("popularity", 0.0115, None)]))["candidates"]
    guided = traces(chart)["guided, W = 20"]
    assert list(guided.x) == [20, 40, 80, 200]
    assert list(guided.y) == pytest.approx([0.061, 0.062, 0.064, 0.07])
    assert "0.0700 (0.0670 to 0.0730)" in guided.hovertemplate[-1]
    assert "W = 20, C = 200, λ = 1" in guided.hovertemplate[-1] and "88.3 MFLOP" in guided.hovertemplate[0]
    bands = [trace for trace in chart.data if trace.legendgroup == "guided, W = 20" and trace.fill == "tonexty"]
    assert list(bands[0].y) == pytest.approx([0.064, 0.065, 0.067, 0.073])
    assert list(traces(chart)["exhaustive, λ = 1"].y) == [0.0721, 0.0721]
    assert "popularity ↓ 0.0115" in traces(chart)
    assert chart.layout.xaxis.type == "log" and "200" in chart.layout.xaxis.ticktext
    assert chart.layout.yaxis.title.text == "Recall@10 (share of users)"
    assert chart.layout.yaxis.range[0] > 0.04


def test_frontier_and_knee(row) -> None:
    rows = [row("plain", v, w * 1e6, width=w) for w, v in ((10, 0.01), (20, 0.05), (40, 0.055), (80, 0.056))]
    chart = charts(results_table(rows))["frontier"]
    assert list(traces(chart)["frontier"].x) == [1e7, 2e7, 4e7, 8e7, 8e7]
    assert list(traces(chart)["knee"].x) == [2e7]
    assert "20 MFLOP" in chart.layout.xaxis.ticktext
    assert list(traces(chart)["plain beam"].error_y.array) == pytest.approx([0.003] * 4)
    assert "knee" not in traces(charts(results_table(rows[:2]))["frontier"])


def test_weight_size_depth_and_hrecall(row) -> None:
    weights = [row("guided", 0.05 + x / 100, 1e8, width=20, candidates=80, weight=x) for x in (0.0, 0.5, 1.0)]
    assert list(traces(CHARTS["weight"](results_table(weights), "recall@10"))["guided, W = 20"].x) == [0, 0.5, 1]
    sizes = [
        row("guided", 0.06 + c / 1e4, 1e8 + i, width=20, candidates=c, weight=1.0, generator=g)
        for i, g in enumerate(("tiny", "base")) for c in (20, 80)
    ]  # fmt: skip
    (contour,) = CHARTS["size"](results_table(sizes), "recall@10").data
    assert list(contour.y) == ["tiny", "base"] and np.array(contour.z).shape == (2, 2)
    depth = [row("guided", v, 1e8, width=20, candidates=80, weight=x) for x, v in (([0, 1], 0.05), (1.0, 0.06))]
    (dots,) = CHARTS["depth"](results_table(depth), "recall@10").data
    assert (list(dots.y), list(dots.x)) == (["level 2 only", "all 2 levels"], [0.05, 0.06])
    shares = [each | {"hrecall@1": 0.5, "hrecall@2": 0.1 + i / 100} for i, each in enumerate(weights[1:])]
    plain = row("plain", 0.05, 1e8, width=20, candidates=20) | {"hrecall@1": 0.5, "hrecall@2": 0.1}
    chart = CHARTS["hrecall"](results_table([plain, *shares]), "recall@10")
    assert traces(chart)["guided, W = 20, λ = 1, C = 80"].customdata[1] == "<br>+1.00 points beside plain"


def test_dials(sweep, row) -> None:
    (heat,) = dials_chart(results_table(sweep)).data
    assert (list(heat.x), list(heat.y)) == (["10", "20"], ["1", "2", "4", "10"])
    assert heat.z[3][1] == pytest.approx(0.07)
    random = [row("guided", 0.05 + i / 1e3, 1e8, width=w, candidates=3 * w + i, weight=1.0) for i, w in enumerate((5, 9, 17, 31, 44))]  # fmt: skip # noqa: E501
    (points,) = dials_chart(results_table(random)).data
    assert list(points.x) == [5, 9, 17, 31, 44] and points.mode == "markers"
    assert dials_chart(results_table(sweep[:3])) is None


def test_drift(sweep) -> None:
    levels = {"teacher_forced@1": 0.5, "teacher_forced@2": 0.7, "free_running@1": 0.5, "free_running@2": 0.2}
    chart = drift_chart(results_table([sweep[0], sweep[1] | levels]))
    assert list(traces(chart)["after own codes"].y) == [0.5, 0.2]
    assert drift_chart(results_table(sweep)) is None


def test_names_are_text(sweep) -> None:
    rows = results_table([each | {"generator": f"<b>{i % 2}</b>"} for i, each in enumerate(sweep)])
    chart = charts(rows)["candidates"]
    assert any("&lt;b&gt;0" in str(trace.name) for trace in chart.data)
    assert not any("<b>0" in str(trace.name) for trace in chart.data)


def test_nothing_finished(row) -> None:
    assert charts(results_table([row("plain", None, 1e8, width=5)])) == {}
