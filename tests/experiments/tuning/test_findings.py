"""The state of a study: the front and its knee, or the best trials within the ceilings."""

from typing import Any

import pytest

from promise.experiments.tuning.run import find, show_findings
from tests.experiments.tuning.small_studies import ONE, settings


def rows(*points: tuple[float, float]) -> list[dict[str, Any]]:
    return [
        {"trial": number, "status": "done", "search": "guided", "recall@10": accuracy, "flops_per_user": cost}
        for number, (accuracy, cost) in enumerate(points)
    ]


POINTS = rows((0.05, 1e6), (0.08, 1e7), (0.08, 1e7), (0.07, 2e7), (0.081, 1e8))


def test_the_front_and_its_knee() -> None:
    assert find(settings(), [*POINTS, {"trial": 5, "status": "failed"}], running=2) == {
        "points": 6, "wanted": 40, "failed": 1, "running": 2, "above": 0,
        "front": [0, 1, 4], "best": 1,  # of equal ones the first
    }  # fmt: skip
    nothing = find(settings(), [])
    assert (nothing["best"], nothing["front"]) == (None, [])


def test_the_best_one_within_the_ceilings(capsys: pytest.CaptureFixture[str]) -> None:
    found = find(settings(**ONE), POINTS)
    assert found["best"] == 4 and found["front"] == [4, 1, 2, 3, 0]
    limited = settings(constraints={"flops_per_user": 5e7}, **ONE)
    found = find(limited, POINTS)
    assert found["best"] == 1 and found["above"] == 1 and found["front"] == [1, 2, 3, 0]
    show_findings(limited, "mine", found, POINTS)
    out = capsys.readouterr().out
    assert "Best trials (mine)" in out and "best" in out and "10 MFLOP" in out
    assert "5 of 40 trials, 1 above a ceiling" in out


def test_the_front_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    two = settings()
    show_findings(two, "mine", find(two, POINTS), POINTS)
    out = capsys.readouterr().out
    assert "Front: no trial is better in both (mine)" in out and out.count("knee") == 1
    assert "5 of 40 trials" in out
    show_findings(two, "mine", find(two, []), [])
    assert capsys.readouterr().out.startswith("0 of 40 trials\n")
