"""One table and one CSV file of the jobs of a Hydra multirun (`promise evaluate -m search.width=10,20`)."""

import json
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from promise.experiments.launchers import WorkerCallback

#: Result of a job, in its folder.
RESULT = "result.json"


class MultirunTable(WorkerCallback):
    """Gathers the results of the jobs; a study of `hydra/sweeper=promise_optuna` has a table of its own."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **others: Any) -> None:
        """Leave the result of a job in its folder."""
        result = job_return._return_value  # the property would raise what the job raised
        if (
            config.hydra.mode.name == "MULTIRUN"
            and job_return.status is JobStatus.COMPLETED
            and isinstance(result, dict)
        ):
            told = {"overrides": job_return.overrides, "result": result}
            (Path(config.hydra.runtime.output_dir) / RESULT).write_text(json.dumps(told) + "\n")

    def on_multirun_end(self, config: DictConfig, **others: Any) -> None:
        """Write `results.csv` in the multirun's folder, print its table, and name the file in a last line of JSON."""
        folder = Path(config.hydra.sweep.dir)
        if not str(config.hydra.sweeper._target_).endswith(".BasicSweeper"):
            return
        jobs = [json.loads(path.read_text()) for path in sorted(folder.glob(f"*/{RESULT}"), key=job_number)]
        if jobs:
            write_jobs(jobs, folder)


def job_number(path: Path) -> tuple[int, str]:
    """Order of a job's file by the number that names its folder."""
    name = path.parent.name
    return (int(name) if name.isdigit() else -1), name


def write_jobs(jobs: list[dict[str, Any]], folder: Path) -> None:
    """Write and print the table of some jobs.

    Args:
        jobs: `overrides` and `result` (a verb's JSON) of each, in their order.
        folder: Where `results.csv` goes.
    """
    import polars as pl

    from promise.pipeline.verb import show

    shared = set.intersection(*(set(job["overrides"]) for job in jobs))
    own = [" ".join(word for word in job["overrides"] if word not in shared) for job in jobs]
    rows = [{"job": name, **job_row(job["result"])} for name, job in zip(own, jobs, strict=True)]
    table = pl.DataFrame(rows, infer_schema_length=None)
    table.write_csv(folder / "results.csv")
    wanted = ("recall@10", "recall@10_low", "recall@10_high", "ndcg@10", "flops_per_user", "seconds")
    columns = [name for name in ("job", *wanted) if name in table.columns]
    if len(columns) == 1:  # no verb that measures
        columns = ["job", *(name for name in table.columns if name not in ("job", "verb"))][:8]
    show(f"Jobs ({folder / 'results.csv'})", columns, table.select(columns).rows())
    verb = jobs[0]["result"].get("verb")
    print(json.dumps({"verb": verb, "jobs": len(jobs), "paths": {"results": str(folder / "results.csv")}}), flush=True)


def job_row(result: dict[str, Any]) -> dict[str, Any]:
    """The row of a job: the one that `evaluate` keeps, or the numbers and texts of another verb's JSON."""
    path = Path(result.get("paths", {}).get("row", ""))
    row = json.loads(path.read_text()) if path.is_file() else result
    plain = OmegaConf.to_container(OmegaConf.create(row))
    assert isinstance(plain, dict)
    return {
        str(name): json.dumps(value) if isinstance(value, list) else value
        for name, value in plain.items()
        if not isinstance(value, dict) and not (isinstance(value, list) and row is result)
    }
