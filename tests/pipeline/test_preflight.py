"""Words that Hydra would explain in many lines are told in one."""

import pytest

from promise.pipeline import preflight as module
from promise.pipeline.preflight import PLUGINS, installed, preflight


def test_an_unknown_sweep_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"^\+sweeps must be one of candidates, .*, got widht \(did you mean width\?\)$"
    ):
        preflight(["+sweeps=widht"])


@pytest.mark.parametrize("words", [["+sweeps=width"], [], ["--config-dir", "mine", "+sweeps=own"], ["launcher=basic"]])
def test_what_is_known_passes(words: list[str]) -> None:
    preflight(words)


@pytest.mark.parametrize("launcher", PLUGINS)
def test_a_launcher_without_its_library(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed", lambda name: not name.endswith(PLUGINS[launcher]))
    with pytest.raises(ValueError, match=rf"^launcher={launcher} needs a library: pip install hydra-[a-z]*-launcher$"):
        preflight([f"launcher={launcher}"])


def test_installed() -> None:
    assert installed("json") and not installed("not_there") and not installed("not_there.at_all")
