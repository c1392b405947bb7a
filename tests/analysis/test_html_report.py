"""The page of a sweep: its order, its escapes, nothing from the network; a browser draws it where there is one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from promise.analysis.html_report import Page, report_html
from promise.analysis.results import results_table

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FINDING = {"text": "recall@10: guided W=20 C=200 − plain W=20", "difference": 0.02, "low": 0.01, "high": 0.03}
LAW = {
    "along": "candidates", "metric": "recall@10", "generator": "small", "width": 20, "weight": 1.0, "form": "y = a",
    "a": 0.07, "reason": None, "verdict": "it predicts best",
}  # fmt: skip


def page(**parts) -> Page:
    return Page(**{"name": "mine", "command": "promise sweep +sweeps=mine", "config": "seed: 0\n", **parts})


def without_plotly(html: str) -> str:
    """The page without the inlined library."""
    from plotly.offline import get_plotlyjs

    assert html.count(get_plotlyjs()) == 1
    return html.replace(get_plotlyjs(), "")


def test_order_of_the_page(sweep, tmp_path: Path) -> None:
    drawing = tmp_path / "law.svg"
    drawing.write_text("<svg/>")
    text = without_plotly(
        report_html(results_table(sweep), page(findings=[FINDING], laws=[LAW], images={"Scaling laws": drawing}))
    )
    parts = [
        "Sweep mine: amazon_beauty · test split · 22,363 users</h1>",
        "Recall@10 of guided W=20 C=200 is 0.0200 above that of plain W=20 (95 % interval +0.0100 to +0.0300",
        "The highest Recall@10 is 0.0721",
        "13 points",
        "Accuracy against candidates</h2>",
        "Accuracy against compute</h2>",
        "Accuracy over width and expansion</h2>",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "Differences</h2>",
        "recall@10, small, W = 20, λ = 1",
        "Points</h2>",
        "promise sweep +sweeps=mine",
        "seed: 0",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.count("Plotly.newPlot(") == 3
    assert (
        "All: data amazon_beauty, split test, seed 0, past items keep, reward dot, training joint, status done." in text
    )
    assert "<th>MFLOP per user</th>" in text and "control</th>" not in text


def test_nothing_comes_from_elsewhere(sweep) -> None:
    text = without_plotly(report_html(results_table(sweep), page()))
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!data:)[^"'>]+""", text)
    assert "@import" not in text and "url(" not in text


def test_texts_are_escaped(sweep) -> None:
    bad = "</script><script>alert(1)</script>"
    rows = results_table([each | {"data": bad, "generator": bad, "status": "done"} for each in sweep])
    text = without_plotly(
        report_html(rows, page(name=bad, command=bad, config=bad, findings=[FINDING | {"text": bad}], lead=bad))
    )
    assert "alert(1)" in text and "<script>alert" not in text


def test_failed_points_show_their_error(sweep) -> None:
    failed = {"search": "plain", "status": "failed", "error": "ValueError: too wide"}
    text = report_html(results_table([*sweep, failed]), page())
    assert "14 points, 1 failed" in text and "ValueError: too wide" in text
    only = without_plotly(report_html(results_table([failed]), page()))
    assert "No finished point has recall@10." in only and "Plotly.newPlot" not in only


def test_error_metric(sweep) -> None:
    with pytest.raises(ValueError, match=r"^metric must be a column of the results "):
        report_html(results_table(sweep), page(), "recall@7")


def test_a_browser_draws_every_chart(sweep, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no headless Chromium here: none of {', '.join(BROWSERS)}")
    path = tmp_path / "report.html"
    path.write_text(report_html(results_table(sweep), page(findings=[FINDING])), encoding="utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
    words = [browser, *options, "--virtual-time-budget=10000", "--dump-dom", path.as_uri()]
    drawn = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    drawn = without_plotly(drawn)
    assert drawn.count('class="main-svg"') >= 3  # Plotly puts in several a chart
    for name in ("candidates", "frontier", "dials"):
        assert re.search(rf'id="chart-{name}"[^>]*class="[^"]*js-plotly-plot', drawn), name
    assert "guided, W = 20" in drawn
