"""For whom a sweep draws a search, and for whom it does not."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from promise.experiments import report as one_user
from promise.experiments.findings import Measured
from promise.metrics.ranking import NOT_RANKED


def measured(search: str, candidates: int, ranks: list[int], kept: list[bool], **row: Any) -> Measured:
    dials = {"search": search, "search.width": 3, "search.candidates": candidates, "search.control": "none"}
    return Measured(dials | row, np.array(ranks), np.array(kept)[:, None])


PLAIN = measured("plain", 3, [NOT_RANKED, 0, NOT_RANKED, 2], [False, True, False, True])
GUIDED = measured("guided", 12, [NOT_RANKED, NOT_RANKED, 1, 0], [False, False, True, True])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([GUIDED], "no guided point has a plain one of its width beside it"),
        ([PLAIN, measured("guided", 12, [0] * 4, [True] * 4, **{"search.width": 4})], "no guided point has a plain"),
        ([PLAIN, measured("guided", 12, [0] * 4, [True] * 4, **{"search.control": "shuffled"})], "no guided point"),
        ([PLAIN, measured("guided", 12, [NOT_RANKED] * 4, [True] * 4)], "the guided one returns no target that plain"),
    ],
)
def test_who_is_not_there_is_not_drawn(
    points: list[Measured], message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done: Any = [(None, each) for each in points]
    assert one_user.draw_user(done, tmp_path) == {} and not list(tmp_path.iterdir())
    assert message in caplog.text


def test_the_first_user_whom_guidance_rescues(
    config_of: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = config_of("search=guided", "search.width=3", "search.expansion=4")
    chosen = {"data": "s3rec", "search": "guided", "generator": "tiny", "reward": "dot", "training": "joint"}
    outcome = SimpleNamespace(point=SimpleNamespace(cfg=cfg, chosen=chosen))
    drawn: list[Any] = []
    monkeypatch.setattr(one_user, "tree_figure", lambda *words: drawn.append(words) or Figure())
    fewer = measured("guided", 6, [0, 0, 0, 0], [True] * 4)
    done: Any = [(None, PLAIN), (None, fewer), (outcome, GUIDED)]
    paths = one_user.draw_user(done, tmp_path)
    assert {name: Path(path).name for name, path in paths.items()} == {
        "one_user_svg": "one_user.svg", "one_user": "one_user.png",
    }  # fmt: skip
    ((nodes, title, note),) = drawn
    assert nodes["target"].sum() == nodes["level"].max()
    assert title == "One user's search: user2"  # the third of all
    assert "W = 3, C = 12" in note and "There are 1 such users of 4; the reverse holds of 1." in note
