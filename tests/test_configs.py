"""Groups, options and dials are read from YAML as they stand there, and Hydra finds conf/ and sweeps/."""

import subprocess
import sys
from pathlib import Path

import pytest

from promise import configs

CONFIG = """\
defaults:
  - data: synthetic
  - search: guided
  - experiment: null
  - override hydra/launcher: basic
  - _self_
seed: 0  # drives everything
"""
FILES = {
    "conf/config.yaml": CONFIG,
    "conf/data/synthetic.yaml": "users: 6  # users\n",
    "conf/data/small.yaml": "defaults:\n  - synthetic\n  - _self_\nusers: 3\n",
    "conf/search/guided.yaml": "width: 20  # beams\n",
    "conf/search/twice.yaml": "defaults:\n  - guided@first\n\nsecond:\n  width: 3  # other beams\n",
    "conf/experiment/quickstart.yaml": (
        "# @package _global_\ndefaults:\n  - override /search: guided\nsearch:\n  width: 5\n"
    ),
    "conf/hydra/launcher/two.yaml": "# @package hydra.launcher\nn_jobs: 2  # processes\n",
    "sweeps/width.yaml": "# @package _global_\nsearch: {width: 7}\n",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(configs, "root", lambda: tmp_path)
    return tmp_path


def test_root_is_the_package_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs, "__file__", str(tmp_path / "promise" / "configs.py"))
    assert configs.root() == tmp_path
    (tmp_path / "promise" / "conf").mkdir(parents=True)
    assert configs.root() == tmp_path / "promise"


def test_groups(tree: Path) -> None:
    assert configs.groups() == {
        "data": ["small", "synthetic"],
        "experiment": ["quickstart"],
        "hydra/launcher": ["two"],
        "search": ["guided", "twice"],
        "sweeps": ["width"],
    }
    for group, options in configs.groups().items():
        assert all(configs.option_path(group, option).is_file() for option in options)


def test_defaults(tree: Path) -> None:
    assert configs.defaults(tree / "conf" / "config.yaml") == {
        "data": "synthetic",
        "search": "guided",
        "experiment": None,
    }
    assert configs.defaults(tree / "conf" / "data" / "small.yaml") == {}
    assert configs.defaults(tree / "conf" / "experiment" / "quickstart.yaml") == {"search": "guided"}
    assert configs.defaults(tree / "conf" / "search" / "guided.yaml") == {}


def test_former_names_are_known_below_their_groups_too() -> None:
    assert configs.renamed("selection.users") == "checkpoint_selection.users"
    assert configs.renamed("evaluation.seen") == "evaluation.remove_seen=true|false"
    assert configs.renamed("search.width") is None


SWEEPS = """
from pathlib import Path
from promise import configs
configs.root = lambda: Path({root!r})
configs.register_search_path()
print(configs.compose(["+sweeps=width"]).search.width)
configs.register_search_path()
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
print(sum("Promise" in plugin.__name__ for plugin in Plugins.instance().discover(SearchPathPlugin)))
"""


def test_sweeps_compose_and_are_registered_once(tree: Path) -> None:
    (tree / "conf" / "config.yaml").write_text("defaults:\n  - data: synthetic\n  - search: guided\n  - _self_\n")
    script = SWEEPS.format(root=str(tree))
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["7", "1"]
