"""A study has as many distinct trials as it was asked for: with several workers, after a kill, after failures."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest

from promise.experiments.tuning.run import run_trials
from promise.experiments.tuning.study import JOURNAL, Study, cut_torn_line, open_storage
from promise.pipeline.config import without_passwords
from tests.experiments.tuning.small_studies import ONE, begun, launch, row


def words(study: Study) -> list[str]:
    return [trial.user_attrs["overrides"] for trial in study.counted()]


def run(study: Study) -> int:
    return run_trials(study, launch)


def test_two_workers_and_one_that_is_killed(tmp_path: Path) -> None:
    both, met = [begun(tmp_path / "two", trials=12) for _ in range(2)], threading.Barrier(2)

    def together(trials: Any) -> Any:
        if trials[0].number < 2:
            met.wait()
        return launch(trials)

    with ThreadPoolExecutor(2) as pool:
        ran = list(pool.map(lambda study: run_trials(study, together), both))
    assert sum(ran) == 12 and min(ran) > 0
    assert len(words(both[0])) == len(set(words(both[0]))) == 12 and both[1].left() == 0

    def dying(trials: Any) -> Any:
        if len(killed.counted()) == 9:
            raise KeyboardInterrupt
        return launch(trials)

    killed = begun(tmp_path / "killed", trials=12)
    with pytest.raises(KeyboardInterrupt):
        run_trials(killed, dying)
    assert killed.left() == 3 and begun(tmp_path / "killed", trials=9).ask() == []  # it is still at work
    killed.worker.release()  # as the system does it when a process ends
    again, undisturbed = begun(tmp_path / "killed", trials=12), begun(tmp_path / "undisturbed", trials=12)
    assert len(again.counted()) == 9 and run(again) == 4  # the one that was being run, again
    run(undisturbed)
    assert words(again) == words(undisturbed) and len(set(words(again))) == 12
    for study in (*both, again, undisturbed):
        study.close()


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii", "random"])
def test_each_sampler_fills_its_study_and_a_larger_number_tops_it_up(tmp_path: Path, sampler: str) -> None:
    study = begun(tmp_path, sampler=sampler, trials=10, parallel=3)
    assert run(study) == 10 and len(set(words(study))) == 10
    study.close()
    more = begun(tmp_path, sampler=sampler, trials=14)
    assert run(more) == 4 and len(set(words(more))) == 14
    more.close()


def test_optuna_opens_the_journal_that_is_left(tmp_path: Path) -> None:
    study = begun(tmp_path, trials=6)
    run(study)
    study.close()
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    seen = optuna.load_study(study_name="mine", storage=optuna.storages.JournalStorage(backend))
    assert len(seen.trials) == 6 and seen.best_trials
    assert [direction.name for direction in seen.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert seen.metric_names == ["recall@10", "flops_per_user"]


def test_a_failed_trial_is_a_row_and_asked_for_again_only_when_told_to(tmp_path: Path) -> None:
    study = begun(tmp_path, trials=3)
    first, second, third = study.ask(3)
    study.fail(first, "OSError: no room")
    study.tell(second, {**row(second.overrides), "recall@10": None})
    study.tell(third, row(third.overrides))
    rows = study.rows()
    assert [each["status"] for each in rows] == ["failed", "failed", "done"]
    assert rows[0]["error"] == "OSError: no room" and rows[0]["search.width"] >= 10
    assert rows[1]["error"].startswith("ValueError: recall@10 is missing: this trial has none (search.width=")
    assert study.left() == 0
    study.close()
    again = begun(tmp_path, retry_failed=True, trials=3)
    assert again.left() == 2 and run(again) == 2
    assert [each["status"] for each in again.rows()] == ["done", "done", "done"]
    assert sorted(words(again)) == sorted(" ".join(asked.overrides) for asked in (first, second, third))
    again.close()


def test_a_ceiling_keeps_the_sampler_below_it(tmp_path: Path) -> None:
    study = begun(tmp_path, trials=30, constraints={"flops_per_user": 6e7}, **ONE)
    run(study)
    constraints = [trial.constraints["flops_per_user"] for trial in study.counted()]
    widths = [trial.params["search.width"] for trial in study.counted()]
    assert [value <= 0 for value in constraints] == [width <= 20 for width in widths]
    assert sum(width <= 20 for width in widths[15:]) >= 8  # a third by chance
    study.close()


def test_a_study_of_other_dials_is_another_study(tmp_path: Path) -> None:
    study = begun(tmp_path, trials=2)
    study.close()
    message = (
        r"^sweep\.study\.name=mine is a study with seed=0 and not 1, space\.search=.*: give this one another name$"
    )
    with pytest.raises(ValueError, match=message):
        begun(tmp_path, seed=1, trials=2, space={"search.width": [10, 20]})


def test_a_small_space_is_drawn_to_its_end_without_a_repeat(tmp_path: Path) -> None:
    small = {"search": ["plain", "guided"], "search.width": {"type": "int", "low": 10, "high": 13}}
    for sampler in ("tpe", "nsgaii", "random"):
        study = begun(tmp_path / sampler, sampler=sampler, trials=100, space=small)
        assert run(study) == len(set(words(study))) == 8 and study.left() == 0
        study.close()


def test_what_was_raised_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    def failing(trials: Any) -> Any:
        return [OSError("no room") if asked.number == 1 else row(asked.overrides) for asked in trials]

    told: list[int] = []
    study = begun(tmp_path, trials=5, parallel=2)
    assert run_trials(study, failing, told.append) == 5
    assert told == [2, 2, 1]
    assert [each["error"] for each in study.rows()] == [None, "OSError: no room", None, None, None]
    study.close()


def test_a_line_that_was_torn_is_cut_off(tmp_path: Path) -> None:
    study = begun(tmp_path, trials=3)
    study.tell(asked := study.ask()[0], row(asked.overrides))
    study.close()
    path = tmp_path / JOURNAL
    whole = path.read_bytes()
    cut_torn_line(path)
    assert path.read_bytes() == whole
    path.write_bytes(whole + b'{"op_code": 4, "worker')
    again = begun(tmp_path, trials=3)
    content = path.read_bytes()
    assert len(again.counted()) == 1 and content.startswith(whole) and b'"op_code": 4, "worker' not in content
    again.close()
    cut_torn_line(tmp_path / "none.log")
    (tmp_path / "empty.log").touch()
    cut_torn_line(tmp_path / "empty.log")


@pytest.mark.parametrize(
    ("storage", "reason"),
    [
        ("sqlite:////nowhere/at/all/study.db", "unable to open database file"),
        ("nosuch://me:secret@127.0.0.1/db", "Can't load plugin: sqlalchemy.dialects:nosuch"),
    ],
)
def test_what_cannot_be_opened(tmp_path: Path, storage: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        open_storage(storage, tmp_path, "sweep.study")
    message = str(error.value)
    assert message.startswith(f"sweep.study.storage={without_passwords(storage)} cannot be opened: ")
    assert reason in message and "secret" not in message and "\n" not in message


def test_a_worker_that_is_stopped_leaves_no_trial_behind(tmp_path: Path) -> None:
    first, second = begun(tmp_path, trials=4), begun(tmp_path, trials=4)
    first.ask()
    assert second.left() == 3
    first.close()
    assert second.left() == 4
    second.close()


def test_workers_of_a_database_without_a_common_folder_let_each_other_be(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    first, second = (begun(tmp_path / name, trials=4, storage=url, sampler="random") for name in "ab")
    (one,), (other,) = first.ask(), second.ask()
    first.tell(one, row(one.overrides))
    second.fail(other, "ValueError: no")
    assert [each["status"] for each in first.rows()] == ["done", "failed"]
    second.fail(other, "told twice")  # a warning is all
    for study in (first, second):
        study.close()


def test_a_database_holds_the_same(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    first, second = (begun(tmp_path / "a", trials=4, storage=url), begun(tmp_path / "a", trials=4, storage=url))
    while asked := first.ask() + second.ask():
        for each in asked:
            first.tell(each, row(each.overrides))
    assert len(first.counted()) == 4 and second.left() == 0
    for study in (first, second):
        study.close()
