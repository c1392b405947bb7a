"""Words that Hydra would explain in many lines are told in one."""

import pytest

from promise.pipeline import overrides as module
from promise.pipeline.overrides import PLUGINS, check_launcher, check_overrides, installed


def test_an_unknown_sweep_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"^\+sweeps must be one of candidates, .*, got widht \(did you mean width\?\)$"
    ):
        check_overrides(["+sweeps=widht"])
    with pytest.raises(ValueError, match=r"^\+sweeps must be one of candidates, .*, got 1$"):
        check_overrides(["seed=2", "+sweeps=1"])


@pytest.mark.parametrize("words", [["+sweeps=width"], [], ["launcher=basic"]])
def test_what_is_known_passes(words: list[str]) -> None:
    check_overrides(words)
    check_launcher(words)


@pytest.mark.parametrize("launcher", PLUGINS)
def test_a_launcher_without_its_library(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed", lambda name: name != PLUGINS[launcher])
    with pytest.raises(ValueError, match=rf"^launcher={launcher} needs a library: pip install hydra-[a-z]*-launcher$"):
        check_launcher([f"launcher={launcher}"])


def test_installed() -> None:
    assert installed("json") and not installed("not_there") and not installed("not_there.at_all")
