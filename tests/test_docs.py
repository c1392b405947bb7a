"""The documentation builds without a warning and without a network, and its table of deviations is that of the code."""

import html
import os
import re
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_: Any) -> None: ...


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


@pytest.mark.parametrize("page", ["", "concepts/", "RESULTS/", "reference/options/"])
def test_pages_are_light_or_dark_in_a_browser(site: Path, page: str, screen) -> None:
    handler = partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        light, dark = (screen(f"http://127.0.0.1:{server.server_port}/{page}", mode) for mode in (False, True))
        server.shutdown()
    assert light > 0.7 and dark < 0.5  # figures stay white


def test_recipes_hold_the_tested_parts(site: Path) -> None:
    text = (site / "recipes" / "plugins" / "index.html").read_text("utf-8")
    assert all(name in text for name in ("Preference", "Sectors", "Ring")) and "--8" not in text


def test_every_key_of_the_configs_is_told_with_its_meaning(site: Path) -> None:
    pages = [(site / "reference" / name / "index.html").read_text("utf-8") for name in ("options", "recipes")]
    text = html.unescape(re.sub(r"<[^>]+>", "", "".join(pages)))
    for path in (ROOT / "conf").rglob("*.yaml"):
        told = [line.strip() for line in path.read_text("utf-8").splitlines() if re.match(r" *\w+: .* # ", line)]
        assert [line for line in told if line not in text] == [], path


def test_the_leaderboard_has_every_committed_method(site: Path) -> None:
    text = (site / "leaderboard" / "index.html").read_text("utf-8")
    for path in (ROOT / "sweeps" / "leaderboard").rglob("*.parquet"):
        assert text.count(f"<td>{path.stem}</td>") >= 3, path


def test_deviations_are_those_that_the_code_marks() -> None:
    files = [path for folder in ("promise", "conf") for path in (ROOT / folder).rglob("*.*")]
    marked = {path for path in files if path.suffix in (".py", ".yaml") and "Deviation:" in path.read_text("utf-8")}
    table = (ROOT / "docs" / "deviations.md").read_text("utf-8")
    named = re.findall(r"\| `((?:promise|conf)/\S+)` \|$", table, re.MULTILINE)
    assert {ROOT / name for name in named} == marked
