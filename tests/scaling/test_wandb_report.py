"""The summary run, written offline and read back from its file."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promise.scaling.figures import save_figure, scaling_figure
from promise.scaling.results import results_table
from promise.scaling.wandb_report import summary_run

BLOCK, HEADER = 32768, 7


def records(path: Path) -> Iterator[Any]:
    """Read the records of a .wandb file: blocks of LevelDB's log format after a header."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, parts = path.read_bytes(), HEADER, b""
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + HEADER])
        if at + HEADER + length > len(content):
            return  # still being written
        parts += content[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield Record.FromString(parts)
            parts = b""


def finished(path: Path) -> list[Any]:
    """Wait for W&B's own process to have written the last record: it may do so after `finish`."""
    for _ in range(100):
        found = list(records(path))
        if any(record.HasField("exit") for record in found):
            return found
        time.sleep(0.1)
    raise TimeoutError(f"the run never ended: {path}")


def items(message: Any) -> dict[str, Any]:
    """The entries of a record as a dictionary."""
    return {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in message}


def test_offline_run_holds_the_table_the_charts_and_the_images(sweep, row, tmp_path: Path, capfd) -> None:
    rows = results_table([*sweep, row("popularity", 0.01, None), {"search": "plain", "status": "failed"}])
    figures = save_figure(scaling_figure(rows), tmp_path / "curve")
    folder = summary_run(rows, figures, "promise", "candidates", tmp_path / "store")
    assert folder.parent == tmp_path / "store" / "wandb"
    assert capfd.readouterr() == ("", "")
    (file,) = folder.glob("*.wandb")
    found = finished(file)

    (run,) = [record.run for record in found if record.HasField("run")][:1]
    assert (run.project, run.run_group, run.job_type) == ("promise", "candidates", "summary")
    metrics = [record.metric for record in found if record.HasField("metric")]
    assert any(m.glob_name == "search/*" and m.step_metric == "search/flops_per_user" for m in metrics)

    history = [items(record.history.item) for record in found if record.HasField("history")]
    points = [entry for entry in history if "search/flops_per_user" in entry]
    costs = [entry["search/flops_per_user"] for entry in points]
    assert costs == sorted(costs)
    assert len(points) == len(sweep)
    assert points[0]["search/exhaustive/recall@10"] == 0.0721

    (last,) = [entry for entry in history if "results/path" in entry]
    table = json.loads((folder / "files" / last["results/path"]).read_text())
    assert table["columns"] == rows.columns
    assert len(table["data"]) == len(rows)
    for name in ("accuracy_over_candidates_log", "accuracy_over_flops_log"):
        chart = json.loads((folder / "files" / last[f"{name}/path"]).read_text())
        assert chart["layout"]["xaxis"]["type"] == "log"
        traces = {trace["name"]: trace for trace in chart["data"]}
        assert "guided, W = 20" in traces
    assert traces["plain beam"]["x"] == pytest.approx([5.2e7, 8.8e7, 1.96e8])
    assert {"accuracy_over_candidates_table/path", "accuracy_over_flops_table/path"} <= set(last)
    assert (folder / "files" / last["figures/curve/path"]).read_bytes().startswith(b"\x89PNG")

    summary = {}
    for record in found:
        summary |= items(record.summary.update) if record.HasField("summary") else {}
    assert summary["best/recall@10"] == 0.0721


def test_no_finished_point_still_makes_a_run(tmp_path: Path) -> None:
    folder = summary_run(results_table([]), [], "promise", "empty", tmp_path)
    assert list(folder.glob("*.wandb"))


def test_an_active_run_is_left_alone(sweep, tmp_path: Path) -> None:
    import wandb

    settings = wandb.Settings(silent=True, console="off")
    active = wandb.init(project="promise", dir=str(tmp_path), mode="offline", settings=settings)
    folder = summary_run(results_table(sweep), [], "promise", "g", tmp_path)
    assert wandb.run is active
    assert str(folder) != active.settings.sync_dir
    active.log({"still": 1})
    active.finish()


def test_errors(sweep, tmp_path: Path) -> None:
    rows = results_table(sweep)
    with pytest.raises(ValueError, match=r"^logger.mode must be offline or online, got ofline$"):
        summary_run(rows, [], "promise", "g", tmp_path / "new", mode="ofline")
    with pytest.raises(ValueError, match=r"^metric must be a column of the results "):
        summary_run(rows, [], "promise", "g", tmp_path / "new", metric="recall@7")
    assert not (tmp_path / "new").exists()
