"""A launcher whose library is missing is told before Hydra looks for it."""

import pytest

from promise.pipeline import overrides as module
from promise.pipeline.overrides import PLUGINS, check_launcher, installed


@pytest.mark.parametrize("launcher", PLUGINS)
def test_a_launcher_without_its_library(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed", lambda name: name != PLUGINS[launcher])
    with pytest.raises(ValueError, match=rf"^launcher={launcher} needs a library: pip install hydra-[a-z]*-launcher$"):
        check_launcher([f"launcher={launcher}"])


def test_installed() -> None:
    assert installed("json") and not installed("not_there") and not installed("not_there.at_all")
