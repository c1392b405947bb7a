"""The page of a sweep: its order, its escapes, well-formed, nothing from the network."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from promise.analysis.plots.gallery import write_figures
from promise.analysis.report.html import Page, report_html
from promise.analysis.results import results_table

FINDING = {"text": "recall@10: guided W=20 C=200 − plain W=20", "difference": 0.02, "low": 0.01, "high": 0.03}
LAW = {
    "along": "candidates", "metric": "recall@10", "title": "small, W = 20, λ = 1.0", "form": "y = a",
    "a": 0.07, "b": None, "c": None, "predicted": 0.1, "observed": 0.1, "reason": None, "verdict": "it predicts best",
}  # fmt: skip


class Outline(HTMLParser):
    """Reads a page: its headings and drawings; elements that are not closed are an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.drawings = 0
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.drawings += tag == "svg"
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def page(**parts: Any) -> Page:
    return Page(**{"name": "mine", "command": "promise sweep +sweeps=mine", "config": "seed: 0\n", **parts})


def test_the_page(sweep, tmp_path: Path) -> None:
    paths = write_figures(results_table(sweep), tmp_path)
    figures = {"One": Path(paths["figure_svg"]), "Two": Path(paths["figure_frontier_svg"])}
    text = report_html(
        results_table(sweep), page(findings=[FINDING], laws=[LAW], figures=figures, card=[("users", "<7>")])
    )
    outline = Outline(text)
    assert outline.headings == [
        "Sweep mine: amazon_beauty · test split · 22,363 users",
        "One", "Two", "Differences", "Scaling laws", "Points", "Dataset card", "Command",
    ]  # fmt: skip
    assert "&lt;7&gt;" in text
    assert outline.drawings == 2 and "<?xml" not in text
    assert '<p class="finding">Recall@10: guided W=20 C=200 − plain W=20 is +0.0200' in text
    assert "<td>0.03</td>" in text and "recall@10, small, W = 20, λ = 1.0</td>" in text
    assert "All: data amazon_beauty, split test, seed 0, past items keep, reward dot" in text
    assert "<th>MFLOP per user</th>" in text and "<th>control</th>" not in text and "<td>88.3</td>" in text
    assert "prefers-color-scheme: dark" in text
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#)[^"']+""", text) and "@import" not in text
    assert not re.findall(r"url\((?!#)", text)


def test_it_is_light_or_dark_in_a_browser(sweep, tmp_path: Path, screen) -> None:
    paths = write_figures(results_table(sweep), tmp_path)
    text = report_html(results_table(sweep), page(findings=[FINDING], figures={"One": Path(paths["figure_svg"])}))
    (tmp_path / "report.html").write_text(text, "utf-8")
    light, dark = (screen((tmp_path / "report.html").as_uri(), mode) for mode in (False, True))
    assert light > 0.85 and dark < 0.25


def test_texts_are_escaped(sweep) -> None:
    bad = "</script><script>alert(1)</script>"
    rows = results_table([each | {"data": bad, "generator": bad, "status": "done"} for each in sweep])
    text = report_html(rows, page(name=bad, command=bad, config=bad, findings=[FINDING | {"text": bad}], lead=bad))
    assert "alert(1)" in text and "<script" not in text


def test_failed_points_show_their_error(sweep) -> None:
    failed = {"search": "plain", "status": "failed", "error": "ValueError: too wide"}
    text = report_html(results_table([*sweep, failed]), page())
    assert "14 points, 13 done, 1 failed." in text and "ValueError: too wide" in text
    assert "No finished search has recall@10." in report_html(results_table([failed]), page())
