"""The summary run, written offline and read back from its file."""

import json
from pathlib import Path
from typing import Any

from promise.analysis.plots.accuracy import candidates_figure
from promise.analysis.plots.drawing import save_figure
from promise.analysis.results import results_table
from promise.analysis.wandb_summary import summary_run
from tests.wandb_file import finished, items


def test_offline_run_holds_the_tables_the_charts_and_the_images(sweep, row, tmp_path: Path, capfd) -> None:
    levels = {f"{name}@{b}": 0.6 / b for name in ("hrecall", "teacher_forced", "free_running") for b in (1, 2)}
    searched = [each | levels for each in sweep]
    rows = results_table([*searched, row("popularity", 0.01, None), {"search": "plain", "status": "failed"}])
    figures = save_figure(candidates_figure(rows), tmp_path / "curve")
    more = {"seed": 0, "search": {"width": 20}}
    folder = summary_run(rows, figures, "promise", "candidates", tmp_path / "store", config=more)
    assert folder.parent == tmp_path / "store" / "wandb"
    assert capfd.readouterr() == ("", "")
    (file,) = folder.glob("*.wandb")
    found = finished(file)

    (run,) = [record.run for record in found if record.HasField("run")][:1]
    assert (run.project, run.run_group, run.job_type) == ("promise", "candidates", "summary")
    config = items(run.config.update)
    assert config["search"] == {"width": 20} and (config["points"], config["finished"]) == (15, 14)
    metrics = [record.metric for record in found if record.HasField("metric")]
    assert any(m.glob_name == "search/*" and m.step_metric == "search/flops" for m in metrics)

    history = [items(record.history.item) for record in found if record.HasField("history")]
    points = [entry for entry in history if "search/flops" in entry]
    costs = [entry["search/flops"] for entry in points]
    assert costs == sorted(costs)
    assert len(points) == len(sweep)
    assert points[0]["search/exhaustive/recall@10"] == 0.0721

    (last,) = [entry for entry in history if "results/path" in entry]

    def content(name: str) -> Any:
        return json.loads((folder / "files" / last[f"{name}/path"]).read_text())

    table = content("results")
    assert table["columns"] == rows.columns
    assert len(table["data"]) == len(rows)
    for name, keys in (
        ("accuracy_over_candidates", {"plain beam", "guided, W = 20"}),
        ("accuracy_over_flops", {"exhaustive, λ = 1", "guided, W = 10"}),
        ("hrecall_per_level", {"guided, W = 10, C = 100", "plain beam, W = 20"}),
    ):
        series = content(f"{name}_table")
        assert keys <= {dict(zip(series["columns"], cells, strict=True))["lineKey"] for cells in series["data"]}, name
    assert (folder / "files" / last["figures/curve/path"]).read_bytes().startswith(b"\x89PNG")

    summary = {}
    for record in found:
        summary |= items(record.summary.update) if record.HasField("summary") else {}
    assert summary["best/recall@10"] == 0.0721


def test_an_active_run_is_left_alone(sweep, tmp_path: Path) -> None:
    import wandb

    settings = wandb.Settings(silent=True, console="off")
    active = wandb.init(project="promise", dir=str(tmp_path), mode="offline", settings=settings)
    folder = summary_run(results_table(sweep), [], "promise", "g", tmp_path)
    assert wandb.run is active
    assert str(folder) != active.settings.sync_dir
    active.log({"still": 1})
    active.finish()
