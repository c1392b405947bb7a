"""The help names every group, option and dial that the YAML files hold."""

from pathlib import Path

import pytest

from promise import configs
from promise.cli import VERBS
from promise.help import EXAMPLES, print_help

ABOUT = {"train": "train networks"}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "conf/config.yaml": "defaults:\n  - search: plain\n  - _self_\nseed: 0  # drives [everything]\n",
        "conf/search/plain.yaml": "width: 20  # beams kept at every level\n",
        "conf/search/guided.yaml": "expansion: 10  # candidates per beam\n",
        "conf/experiment/quickstart.yaml": "# @package _global_\ndefaults:\n  - override /search: guided\n",
        "sweeps/width.yaml": "# @package _global_\nsearch: {width: 7}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(configs, "root", lambda: tmp_path)
    return tmp_path


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_groups_dials_and_examples(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_help("train", ABOUT, [])
    shown = lines(capsys)
    assert shown[0] == "promise train [GROUP=OPTION ...] [DIAL=VALUE ...]"
    assert "train train networks" in shown
    assert "search= guided plain*" in shown
    assert "+sweeps= width" in shown
    assert "seed 0 drives [everything]" in shown
    assert "search.width 20 beams kept at every level" in shown
    assert not any("search.expansion 10" in line for line in shown)
    assert any(line.startswith(EXAMPLES["train"][0][0]) for line in shown)


def test_a_chosen_option_shows_its_dials(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_help("train", ABOUT, ["seed=1", "search=guided", "+sweeps=width", "--help", "search=none"])
    shown = lines(capsys)
    assert "search= guided* plain" in shown
    assert "+sweeps= width*" in shown
    assert "search.expansion 10 candidates per beam" in shown
    assert not any("search.width 20" in line for line in shown)


def test_an_experiment_chooses_options_of_other_groups(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_help("train", ABOUT, ["+experiment=quickstart"])
    assert "search= guided* plain" in lines(capsys)


def test_the_command_itself_shows_every_verb(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_help(None, {"train": "a", "sweep": "b", "artifacts": "c"}, [])
    shown = lines(capsys)
    assert shown[0].startswith("promise VERB ")
    assert {"train a", "sweep b", "artifacts c"} <= set(shown)


def test_every_verb_has_an_example_of_itself() -> None:
    assert EXAMPLES.keys() == VERBS.keys()
    for verb, examples in EXAMPLES.items():
        assert all(command.startswith(f"promise {verb} ") for command, _ in examples)
