"""Groups, options and dials are read from YAML as they stand there, and Hydra finds conf/ and sweeps/."""

from pathlib import Path

import pytest

from promise import configs


def test_root_is_the_package_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs, "__file__", str(tmp_path / "promise" / "configs.py"))
    assert configs.root() == tmp_path
    (tmp_path / "promise" / "conf").mkdir(parents=True)
    assert configs.root() == tmp_path / "promise"
