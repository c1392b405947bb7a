"""The loop gives bad dials up on few users, tells what was raised, and goes on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.pipeline.studies.small_studies import ONE, begun, launch, row

from promise.experiments.tuning.loop import run_study
from promise.experiments.tuning.study import Asked

Trials = Sequence[tuple[Asked, list[str]]]


def test_bad_dials_die_early(tmp_path: Path) -> None:
    for pruner in ("median", "halving"):
        users: dict[int, list[int]] = {}

        def counting(trials: Trials, users: dict[int, list[int]] = users) -> list[dict[str, Any] | Exception]:
            for asked, words in trials:
                users.setdefault(asked.number, []).append(row(words)["users"])
            return launch(trials)

        study = begun(tmp_path / pruner, trials=20, pruner=pruner, subsets=[0.125, 0.5, 1], **ONE)
        assert run_study(study, counting, 1000, str) == 20
        rows = study.rows()
        pruned = [each for each in rows if each["status"] == "pruned"]
        done = [each for each in rows if each["status"] == "done"]
        assert len(pruned) >= 3 and len(done) >= 3 and len(rows) == 20
        assert max(done, key=lambda r: r["recall@10"])["recall@10"] > max(r["recall@10"] for r in pruned)
        assert all(users[each["trial"]] == [125, 500, 1000] for each in done)
        assert all(users[each["trial"]] == [125, 500, 1000][: users[each["trial"]].index(each["users"]) + 1]
                   and each["users"] < 1000 for each in pruned)  # fmt: skip
        study.close()


def test_what_was_raised_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    def failing(trials: Trials) -> list[dict[str, Any] | Exception]:
        return [OSError("no room") if asked.number == 1 else row(words) for asked, words in trials]

    told: list[int] = []
    study = begun(tmp_path, trials=5, parallel=2)
    assert run_study(study, failing, 1000, lambda error: f"it was {error}", told.append) == 5
    assert told == [2, 2, 1]
    assert [each["error"] for each in study.rows()] == [None, "it was no room", None, None, None]
    study.close()
