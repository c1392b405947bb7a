"""Groups, options and dials are read from YAML as they stand there, and Hydra finds conf/ and sweeps/."""

from pathlib import Path

import pytest

from promise import configs


def test_root_is_the_package_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs, "__file__", str(tmp_path / "promise" / "configs.py"))
    assert configs.root() == tmp_path
    (tmp_path / "promise" / "conf").mkdir(parents=True)
    assert configs.root() == tmp_path / "promise"


def test_former_names_are_known_below_their_groups_too() -> None:
    assert configs.renamed("selection.users") == "checkpoint_selection.users"
    assert configs.renamed("evaluation.seen") == "evaluation.remove_seen=true|false"
    assert configs.renamed("search.width") is None
