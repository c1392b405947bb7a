"""Hydra's multirun as a study: sweeps typed are dials, jobs are trials, a failed job is a failed trial."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

from promise.optuna_sweeper import Job, JobFailed, entry, outcome

Run = Callable[..., Any]
STUDY = ("-m", "hydra/sweeper=promise_optuna", "evaluation.users=40")


def test_a_multirun_is_a_study(run: Run, tmp_path: Path) -> None:
    words = ("hydra.sweeper.trials=4", "hydra.sweeper.name=mine", "hydra.sweeper.parallel=2", "search=plain,guided",
             "search.width=range(10,21,5)", "hydra.sweeper.constraints={flops_per_user:1e9}")  # fmt: skip
    answer = run("evaluate", *STUDY, *words)
    said = json.loads(answer.out.splitlines()[-1])
    assert (said["points"], said["ran"], said["failed"]) == (4, 4, 0), answer.err
    folder = Path(said["paths"]["results"]).parent
    assert folder.parts[-2:] == ("studies", "mine")
    jobs = sorted(folder.parents[1].glob("multiruns/*/*/.hydra/overrides.yaml"))[-4:]
    told = [yaml.safe_load(path.read_text()) for path in jobs]
    assert [path.parts[-3] for path in jobs] == ["0", "1", "2", "3"]
    assert [f"sweep.trial={number}" in overrides for number, overrides in enumerate(told)] == [True] * 4
    widths = [int(word.partition("=")[2]) for overrides in told for word in overrides if "search.width" in word]
    assert len(widths) == 4 and set(widths) <= {10, 15, 20}
    more = run("evaluate", *STUDY, *words, "hydra.sweeper.trials=5")
    said = json.loads(more.out.splitlines()[-1])
    assert (said["points"], said["ran"], said["skipped"]) == (5, 1, 4)


def test_a_job_that_fails_is_a_failed_trial(run: Run, tmp_path: Path) -> None:
    answer = run("evaluate", *STUDY, "hydra.sweeper.sampler=grid", "search.width=10,20", "evaluation.seen=keep",
                 "predictions=" + str(tmp_path / "a.parquet"), "analysis=null,drift")  # fmt: skip
    assert answer.error.startswith("analysis=drift writes no predictions")
    allow = tmp_path / "few.txt"
    allow.write_text("7\n")
    answer = run("evaluate", *STUDY, "hydra.sweeper.sampler=grid", "search=guided,popularity", "search.width=10",
                 "hydra.sweeper.space={}")  # fmt: skip
    assert answer.error.startswith("hydra.sweeper.space: Could not override 'search.width'")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search.width=10"], "hydra.sweeper.space must name at least one dial"),
        (["search.widht=10,20"], "hydra.sweeper.space: Could not override 'search.widht'."),
        (["search.width=10,20", "split=test"], "hydra.sweeper tunes on validation targets alone, got split=test"),
        (["search.width=10,20", "hydra.sweeper.trials=0"], "hydra.sweeper.trials must be an integer >= 1, got 0"),
        (["search.width=range(9,3)"], "hydra.sweeper.space: search.width=range(9,3) gives no choices and no range"),
        (["search.width=10,20", "hydra.sweeper.storage=sqlite:////no/where.db"], "hydra.sweeper.storage=sqlite:////no"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(run: Run, tmp_path: Path, words: list[str], message: str) -> None:
    assert run("evaluate", *STUDY, *words, store=tmp_path).error.startswith(message)
    assert not (tmp_path / "artifacts").exists()


def test_what_needs_more_than_the_multirun_gives(run: Run, tmp_path: Path) -> None:
    message = "hydra/sweeper=promise_optuna is for promise evaluate, got promise train"
    assert run("train", *STUDY, "seed=0,1", store=tmp_path).error == message
    one = ("hydra.sweeper.objectives=[recall@10]", "hydra.sweeper.directions=[maximize]", "hydra.sweeper.pruner=median")
    message = "hydra.sweeper.pruner=median needs evaluation.users: it begins with fewer"
    assert run("evaluate", *STUDY[:2], *one, "search.width=10,20", store=tmp_path).error == message


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("a=x,y", {"type": "categorical", "choices": ["x", "y"]}),
        ("a=[1,2],[3,4]", {"type": "categorical", "choices": [[1, 2], [3, 4]]}),
        ("a='x y','z'", {"type": "categorical", "choices": ["x y", "z"]}),
        ("a=range(10,101)", {"type": "int", "low": 10, "high": 100, "step": 1}),
        ("a=range(10,20,4)", {"type": "int", "low": 10, "high": 18, "step": 4}),
        ("a=range(0,1,0.25)", {"type": "float", "low": 0.0, "high": 0.75, "step": 0.25}),
        ("a=tag(log,range(1,9))", {"type": "int", "low": 1, "high": 8, "log": True}),
        ("a=interval(0,1)", {"type": "float", "low": 0.0, "high": 1.0, "log": False}),
        ("a=tag(log,int(interval(1,9)))", {"type": "int", "low": 1, "high": 9, "log": True}),
    ],
)
def test_a_sweep_of_the_command_line_is_an_entry_of_the_space(typed: str, expected: dict[str, Any]) -> None:
    assert entry(OverridesParser.create().parse_override(typed)) == expected


def test_no_study_has_a_glob() -> None:
    with pytest.raises(ValueError, match=r"^hydra\.sweeper\.space: search=glob\(\*\) gives no choices and no range$"):
        entry(OverridesParser.create().parse_override("search=glob(*)"))


def test_outcomes_of_jobs() -> None:
    result = {"verb": "evaluate", "users": 40, "dials": {"search": "plain"}, "metrics": {"recall@10": 0.1},
              "cost": {"flops_per_user": 3}, "hrecall": [0.5]}  # fmt: skip
    done = JobReturn(status=JobStatus.COMPLETED, _return_value=result)
    assert outcome(done) == {"users": 40, "search": "plain", "recall@10": 0.1, "flops_per_user": 3}
    error = OSError("no room")
    assert outcome(JobReturn(status=JobStatus.FAILED, _return_value=error)) is error
    assert str(outcome(JobReturn())) == "the job ended as UNKNOWN"


def test_a_check_ends_the_job_and_not_the_study() -> None:
    def wrong(cfg: Any) -> None:
        try:
            raise ValueError("search.width must be an integer >= 1, got 0")
        except ValueError:
            raise SystemExit(2) from None

    def interrupted(cfg: Any) -> None:
        raise SystemExit(130)

    with pytest.raises(JobFailed, match=r"^search\.width must be an integer >= 1, got 0$"):
        Job(wrong)({})  # type: ignore[arg-type]
    with pytest.raises(SystemExit, match="130"):
        Job(interrupted)({})  # type: ignore[arg-type]
    assert Job(lambda cfg: 3)({}) == 3  # type: ignore[arg-type]
