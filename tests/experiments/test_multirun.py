"""A multirun ends with one table and one CSV file of its jobs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from promise.experiments.multirun import write_jobs

Run = Callable[..., Any]


def test_a_multirun_gathers_its_jobs(run: Run, tmp_path: Path) -> None:
    answer = run("evaluate", "-m", "search=popularity,co_visit", "evaluation.users=20", store=tmp_path)
    said = answer.json
    assert (said["verb"], said["jobs"]) == ("evaluate", 2)
    table = pl.read_csv(said["paths"]["results"])
    assert Path(said["paths"]["results"]).parent.parent == tmp_path / "multiruns"
    assert table["job"].to_list() == ["search=popularity", "search=co_visit"]
    jobs = [json.loads(line) for line in answer.out.splitlines() if line.startswith('{"verb"')][:-1]
    assert table["recall@10"].to_list() == [job["metrics"]["recall@10"] for job in jobs]
    assert table["users"].to_list() == [20, 20]
    assert "Jobs (" in answer.out


def test_jobs_of_a_verb_without_rows(tmp_path: Path, capsys: Any) -> None:
    results = [{"verb": "train", "seconds": 1.5, "paths": {"model": "x"}, "trained": ["joint"]}, {"verb": "train"}]
    jobs = [{"overrides": ["data=s3rec", f"seed={seed}"], "result": result} for seed, result in enumerate(results)]
    write_jobs(jobs, tmp_path)
    table = pl.read_csv(tmp_path / "results.csv")
    assert table.columns == ["job", "verb", "seconds", "trained"] and table["job"].to_list() == ["seed=0", "seed=1"]
    assert "seed=1" in capsys.readouterr().out
