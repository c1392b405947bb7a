"""What each job of a Hydra multirun takes part in: one table of all of them, and the end of whoever launched it."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

#: Result of a job, in its folder.
RESULT = "result.json"

#: Name of the thread that watches a worker's parent.
WATCH = "promise-parent"


class MultirunTable(Callback):
    """Gathers the results of the jobs, and makes worker processes end with the one that launched them.

    A study of `hydra/sweeper=promise_optuna` has a table of its own.
    """

    def __init__(self) -> None:
        self.parent = os.getpid()

    def on_job_start(self, config: DictConfig, *, task_function: Any, **others: Any) -> None:
        if os.getppid() == self.parent and not any(each.name == WATCH for each in threading.enumerate()):
            threading.Thread(target=end_with, args=(self.parent,), name=WATCH, daemon=True).start()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **others: Any) -> None:
        """Leave the result of a job in its folder."""
        result = job_return._return_value  # the property would raise what the job raised
        done = job_return.status is JobStatus.COMPLETED and isinstance(result, dict)
        if config.hydra.mode.name == "MULTIRUN" and done:
            told = {"overrides": list(job_return.overrides or ()), "result": result}
            (Path(config.hydra.runtime.output_dir) / RESULT).write_text(json.dumps(told) + "\n")

    def on_multirun_end(self, config: DictConfig, **others: Any) -> None:
        """Write `results.csv` in the multirun's folder, print its table, and name the file in a last line of JSON."""
        folder = Path(config.hydra.sweep.dir)
        if str(config.hydra.sweeper._target_).endswith(".BasicSweeper"):
            paths = sorted(folder.glob(f"*/{RESULT}"), key=lambda path: (len(path.parent.name), path.parent.name))
            if jobs := [json.loads(path.read_text()) for path in paths]:
                write_jobs(jobs, folder)


def write_jobs(jobs: list[dict[str, Any]], folder: Path) -> None:
    """Write and print the table of some jobs: `overrides` and `result` (a verb's JSON) of each, in their order."""
    import polars as pl

    from promise.pipeline.verb import show

    shared = set.intersection(*(set(job["overrides"]) for job in jobs))
    own = [" ".join(word for word in job["overrides"] if word not in shared) for job in jobs]
    rows = [{"job": name, **job_row(job["result"])} for name, job in zip(own, jobs, strict=True)]
    table = pl.DataFrame(rows, infer_schema_length=None)
    path = folder / "results.csv"
    table.write_csv(path)
    wanted = ("recall@10", "recall@10_low", "recall@10_high", "ndcg@10", "flops_per_user", "seconds")
    columns = ["job", *(name for name in wanted if name in table.columns)]
    show(f"Jobs ({path})", columns, table.select(columns).rows())
    verb = jobs[0]["result"].get("verb")
    print(json.dumps({"verb": verb, "jobs": len(jobs), "paths": {"results": str(path)}}), flush=True)


def job_row(result: dict[str, Any]) -> dict[str, Any]:
    """The row of a job: the one that `evaluate` keeps, or the numbers and texts of another verb's JSON."""
    path = Path(result.get("paths", {}).get("row", ""))
    row = json.loads(path.read_text()) if path.is_file() else result
    values = {name: json.dumps(value) if isinstance(value, list) else value for name, value in row.items()}
    return {name: value for name, value in values.items() if not isinstance(value, dict)}


def end_with(parent: int) -> None:
    """Kill this process as soon as its parent is gone: another process is its parent then."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
