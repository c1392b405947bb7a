"""What is opened in Python is what the command would run, and wrong words say so as they do there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from promise.pipeline.opening import opened

Run = Callable[..., Any]


def test_it_is_the_point_of_the_command(run: Run, world: Any, shared_store: Path) -> None:
    dials = ("search=guided", "search.width=7", "search.expansion=2")
    point = opened([*world.words, f"store={shared_store}", *dials])
    result, _ = point.result()
    said = run("evaluate", *dials, "build=never").json
    assert said["paths"]["row"] == str(result.path)
    assert said["metrics"]["recall@5"] == result.row["recall@5"]
    assert result.row["data"] == "s3rec" and result.row["search"] == "guided"


def test_wrong_words() -> None:
    with pytest.raises(ValueError, match=r"^search.width must be an integer >= 1, got 0$"):
        opened(["search.width=0"])
    with pytest.raises(ValueError, match=r"^search\.weight=1\.0 needs a reward model"):
        opened(["training=generator"])
