"""The summary run, written offline and read back from its file."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from promise.analysis.figures import save_figure, scaling_figure
from promise.analysis.results import results_table
from promise.analysis.wandb_report import Destination, _save_workspace, summary_run
from promise.analysis.workspace import sweep_workspace
from tests.wandb_file import finished, items


def test_offline_run_holds_the_tables_the_charts_and_the_images(sweep, row, tmp_path: Path, capfd) -> None:
    levels = {f"{name}@{b}": 0.6 / b for name in ("hrecall", "teacher_forced", "free_running") for b in (1, 2)}
    searched = [each | levels for each in sweep]
    rows = results_table([*searched, row("popularity", 0.01, None), {"search": "plain", "status": "failed"}])
    figures = save_figure(scaling_figure(rows), tmp_path / "curve")
    to = Destination("promise", "candidates", tmp_path / "store", config={"seed": 0, "search": {"width": 20}})
    folder = summary_run(rows, figures, to)
    assert folder.parent == tmp_path / "store" / "wandb"
    assert capfd.readouterr() == ("", "")
    (file,) = folder.glob("*.wandb")
    found = finished(file)

    (run,) = [record.run for record in found if record.HasField("run")][:1]
    assert (run.project, run.run_group, run.job_type) == ("promise", "candidates", "summary")
    config = items(run.config.update)
    assert config["search"] == {"width": 20} and (config["points"], config["finished"]) == (15, 14)
    metrics = [record.metric for record in found if record.HasField("metric")]
    assert any(m.glob_name == "search/*" and m.step_metric == "search/flops_per_user" for m in metrics)

    history = [items(record.history.item) for record in found if record.HasField("history")]
    points = [entry for entry in history if "search/flops_per_user" in entry]
    costs = [entry["search/flops_per_user"] for entry in points]
    assert costs == sorted(costs)
    assert len(points) == len(sweep)
    assert points[0]["search/exhaustive/recall@10"] == 0.0721

    (last,) = [entry for entry in history if "results/path" in entry]

    def content(name: str) -> Any:
        return json.loads((folder / "files" / last[f"{name}/path"]).read_text())

    table = content("results")
    assert table["columns"] == rows.columns
    assert len(table["data"]) == len(rows)
    front = content("front")  # exhaustive search is cheapest and best here
    assert [dict(zip(front["columns"], cells, strict=True))["search"] for cells in front["data"]] == ["exhaustive"]
    for name in ("candidates", "frontier"):
        chart = content(f"charts/{name}")
        assert chart["layout"]["xaxis"]["type"] == "log"
        traces = {trace["name"]: trace for trace in chart["data"] if "name" in trace}
        assert traces["plain beam"]["y"] == pytest.approx([0.0501, 0.0502, 0.0505])
    assert traces["plain beam"]["x"] == pytest.approx([5.2e7, 8.8e7, 1.96e8])
    assert content("charts/dials")["data"][0]["type"] == "heatmap"
    assert len(content("charts/drift")["data"]) == 2
    for name, keys in (
        ("accuracy_over_candidates", {"plain beam", "guided, W = 20"}),
        ("accuracy_over_flops", {"exhaustive, λ = 1", "guided, W = 10"}),
        ("hrecall_per_level", {"guided, W = 10, C = 100", "plain beam, W = 20"}),
        ("drift_per_level", {"teacher_forced", "free_running"}),
    ):
        series = content(f"{name}_table")
        assert keys <= {dict(zip(series["columns"], cells, strict=True))["lineKey"] for cells in series["data"]}, name
    assert len(content("points_table")["data"]) == len(sweep)
    assert (folder / "files" / last["figures/curve/path"]).read_bytes().startswith(b"\x89PNG")

    summary = {}
    for record in found:
        summary |= items(record.summary.update) if record.HasField("summary") else {}
    assert summary["best/recall@10"] == 0.0721


def test_no_finished_point_still_makes_a_run(tmp_path: Path) -> None:
    folder = summary_run(results_table([]), [], Destination("promise", "empty", tmp_path))
    assert list(folder.glob("*.wandb"))


def test_an_active_run_is_left_alone(sweep, tmp_path: Path) -> None:
    import wandb

    settings = wandb.Settings(silent=True, console="off")
    active = wandb.init(project="promise", dir=str(tmp_path), mode="offline", settings=settings)
    folder = summary_run(results_table(sweep), [], Destination("promise", "g", tmp_path))
    assert wandb.run is active
    assert str(folder) != active.settings.sync_dir
    active.log({"still": 1})
    active.finish()


def test_a_workspace_has_a_panel_for_each_metric(sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = results_table(sweep)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)  # not installed
    assert sweep_workspace(rows, "me", "promise", "g") is None
    package, reports, plots = (ModuleType(name) for name in ("wandb_workspaces", "reports", "v2"))
    package.workspaces = SimpleNamespace(Section=SimpleNamespace, Workspace=SimpleNamespace)  # type: ignore[attr-defined]
    plots.LinePlot = SimpleNamespace  # type: ignore[attr-defined]
    for name, module in (("", package), (".reports", reports), (".reports.v2", plots)):
        monkeypatch.setitem(sys.modules, f"wandb_workspaces{name}", module)
    space = sweep_workspace(rows, "me", "promise", "g")
    assert (space.entity, space.project, space.name) == ("me", "promise", "Sweep g")
    first, second = space.sections[0].panels
    assert (first.title, second.title, first.x, first.log_x) == (
        "recall@10", "ndcg@10", "search/flops_per_user", True
    )  # fmt: skip
    assert first.y == [f"search/{search}/recall@10" for search in ("plain", "guided", "exhaustive")]


def test_a_workspace_that_is_refused_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    def refused() -> None:
        raise RuntimeError("no permission")

    _save_workspace(SimpleNamespace(save=refused))
    _save_workspace(None)
    assert [record.message for record in caplog.records] == ["W&B kept no workspace: no permission"]


def test_errors(sweep, tmp_path: Path) -> None:
    rows = results_table(sweep)
    with pytest.raises(ValueError, match=r"^logger.mode must be offline or online, got ofline$"):
        summary_run(rows, [], Destination("promise", "g", tmp_path / "new", mode="ofline"))
    with pytest.raises(ValueError, match=r"^metric must be a column of the results "):
        summary_run(rows, [], Destination("promise", "g", tmp_path / "new"), metric="recall@7")
    assert not (tmp_path / "new").exists()
