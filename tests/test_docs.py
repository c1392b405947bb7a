"""The documentation builds without a warning and without a network, and its table of deviations is that of the code."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning, such as a link that leads nowhere, fails."""
    folder = tmp_path_factory.mktemp("site")
    words = ["build", "--strict", "--config-file", str(ROOT / "mkdocs.yml"), "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([sys.executable, "-m", "mkdocs", *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = {path: path.read_text("utf-8") for path in site.rglob("*.html")}
    assert len(pages) > 20
    loaded = r'<(?:script|img|iframe|source)[^>]*\bsrc="(?:https?:)?//[^"]*|<link[^>]*href="(?:https?:)?//[^"]*'
    assert [found for text in pages.values() for found in re.findall(loaded, text)] == []


def test_recipes_hold_the_tested_parts(site: Path) -> None:
    text = (site / "recipes" / "plugins" / "index.html").read_text("utf-8")
    assert all(name in text for name in ("Preference", "Sectors", "Ring")) and "--8" not in text


def test_every_key_of_the_configs_is_told_with_its_meaning(site: Path) -> None:
    pages = [(site / "reference" / name / "index.html").read_text("utf-8") for name in ("options", "recipes")]
    text = html.unescape(re.sub(r"<[^>]+>", "", "".join(pages)))
    for path in (ROOT / "conf").rglob("*.yaml"):
        told = [line.strip() for line in path.read_text("utf-8").splitlines() if re.match(r" *\w+: .* # ", line)]
        assert [line for line in told if line not in text] == [], path


def test_deviations_are_those_that_the_code_marks() -> None:
    files = [path for folder in ("promise", "conf") for path in (ROOT / folder).rglob("*.*")]
    marked = {path for path in files if path.suffix in (".py", ".yaml") and "Deviation:" in path.read_text("utf-8")}
    table = (ROOT / "docs" / "deviations.md").read_text("utf-8")
    named = re.findall(r"\| `((?:promise|conf)/\S+)` \|$", table, re.MULTILINE)
    assert {ROOT / name for name in named} == marked
