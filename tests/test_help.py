"""The help names every group and option, and shows the lines of the YAML files that are in force."""

from pathlib import Path

import pytest

from promise import configs
from promise.cli import VERBS
from promise.help import EXAMPLES, print_help


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "conf/config.yaml": "defaults:\n  - search: plain\n  - search@other: plain\n  - _self_\n"
        "seed: 0  # drives all\nhydra:\n  run: x\n",
        "conf/search/plain.yaml": "_target_: a.B\nwidth: 20  # beams kept at every level\n",
        "conf/search/guided.yaml": "defaults:\n  - plain\nexpansion: 10  # candidates per beam\n",
        "conf/experiment/quickstart.yaml": "# @package _global_\ndefaults:\n  - override /search: guided\nseed: 3\n",
        "conf/launcher/here.yaml": "# @package _global_\nhydra:\n  launcher:\n    n_jobs: 2  # at once\n",
        "sweeps/width.yaml": "# @package _global_\nsearch: {width: 7}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(configs, "root", lambda: tmp_path)
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    print_help("train", {"train": "train networks"}, words)
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


def test_groups_keys_and_examples(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys)
    assert {"search= guided plain*", "+sweeps= width", "seed: 0  # drives all"} <= set(lines)
    assert "width: 20  # beams kept at every level" in lines and "expansion: 10  # candidates per beam" not in lines
    assert "run: x" not in lines and "_target_: a.B" not in lines
    assert any(line.startswith("promise train data=") for line in lines)


def test_a_chosen_option_shows_its_keys_and_those_it_builds_on(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "search=guided", "+sweeps=width", "search=none")
    assert {"search= guided* plain", "+sweeps= width*", "expansion: 10  # candidates per beam"} <= set(lines)
    assert "width: 20  # beams kept at every level" in lines
    assert "n_jobs: 2  # at once" in shown(capsys, "+launcher=here")
    assert "search= guided* plain" in shown(capsys, "+experiment=quickstart")  # chooses options of other groups


def test_a_group_at_another_place(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "search@other=guided")
    assert lines.index("expansion: 10  # candidates per beam") > lines.index("search@other=guided")
    assert {"search= guided plain*", "search@other= guided* plain", "other:"} <= set(lines)


def test_every_verb_has_an_example() -> None:
    assert EXAMPLES.keys() == VERBS.keys()
