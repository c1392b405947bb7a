"""Hydra's multirun as a study: several values typed are searched, jobs are trials, a failed job is a failed trial."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

from promise.analysis.results import read_results
from promise.experiments.tuning.sweeper import JobFailed, TrialJob, entry, outcome
from promise.pipeline.points import Point

Run = Callable[..., Any]
STUDY = ("-m", "hydra/sweeper=promise_optuna", "evaluation.users=40")


def test_a_multirun_is_a_study(run: Run, shared_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("hydra.sweeper.name=mine", "hydra.sweeper.parallel=2", "search=plain,guided",
             "search.width=range(10,21,5)", "+hydra.sweeper.constraints.flops_per_user=1e9")  # fmt: skip
    answer = run("evaluate", *STUDY, *words, "hydra.sweeper.trials=2")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out.splitlines()[-1])
    assert (said["points"], said["ran"], said["failed"]) == (2, 2, 0), answer.err
    folder = Path(said["paths"]["results"]).parent
    assert folder.parts[-2:] == ("studies", "mine")
    numbers = read_results(said["paths"]["results"])["trial"].to_list()
    told = [sorted(shared_store.glob(f"multiruns/*/{number}/.hydra/overrides.yaml")) for number in numbers]
    jobs = [yaml.safe_load(paths[-1].read_text()) for paths in told]
    assert all(
        f"sweep.trial={number}" in job and "sweep.name=mine" in job for number, job in zip(numbers, jobs, strict=True)
    )
    widths = [int(word.partition("=")[2]) for job in jobs for word in job if word.startswith("search.width=")]
    assert len(widths) == 2 and set(widths) <= {10, 15, 20}

    def failing(point: Point, keep_answers: bool = False) -> Any:
        raise OSError("no room")

    monkeypatch.setattr(Point, "result", failing)
    answer = run("evaluate", *STUDY, *words, "hydra.sweeper.trials=3")
    said = json.loads(answer.out.splitlines()[-1])
    assert (said["points"], said["ran"], said["skipped"], said["failed"]) == (3, 1, 2, 1)
    assert "failed: OSError: no room" in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search.width=10"], "hydra.sweeper.space must name at least one key"),
        (["search.width=10,20", "predictions=x.parquet"], "predictions=x.parquet would be written by every job of -m"),
        (["search.width=10,20", "hydra.sweeper.trials=0"], "hydra.sweeper.trials must be an integer >= 1, got 0"),
        (["search.width=range(9,3)"], "hydra.sweeper.space: search.width=range(9,3) gives no choices and no range"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(run: Run, tmp_path: Path, words: list[str], message: str) -> None:
    assert run("evaluate", *STUDY, *words, store=tmp_path).error.startswith(message)
    assert not (tmp_path / "artifacts").exists()


def test_what_needs_more_than_the_multirun_gives(run: Run, tmp_path: Path) -> None:
    message = "hydra/sweeper=promise_optuna is for promise evaluate, got promise train"
    assert run("train", *STUDY, "seed=0,1", store=tmp_path).error == message


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


def test_outcomes_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "row.json").write_text('{"users": 40, "search": "plain", "recall@10": 0.1}')
    result = {"verb": "evaluate", "paths": {"row": str(tmp_path / "row.json")}}
    done = JobReturn(status=JobStatus.COMPLETED, _return_value=result)
    assert outcome(done) == {"users": 40, "search": "plain", "recall@10": 0.1}
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
        TrialJob(wrong)({})  # type: ignore[arg-type]
    with pytest.raises(SystemExit, match="130"):
        TrialJob(interrupted)({})  # type: ignore[arg-type]
    assert TrialJob(lambda cfg: 3)({}) == 3  # type: ignore[arg-type]
