"""What a sweep leaves beside its table: files by name, laws in the page, no password anywhere, one user's search."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure

from promise import configs
from promise.experiments import report as sweep_report
from promise.experiments.findings import Measured
from promise.experiments.report import draw_user, write_report
from promise.metrics.ranking import NOT_RANKED

ROWS = [
    {
        "data": "shop", "split": "test", "users": 100, "search": "plain", "search.width": w, "search.candidates": w,
        "recall@10": w / 1000, "flops_per_user": w * 1e6, "status": "done",
    }
    for w in (10, 20)
]  # fmt: skip
SECRET = "+sweep.storage=postgresql://me:secret@host/db"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """A writer of reports of a sweep whose storage has a password."""
    own = SimpleNamespace(path="conf dir", provider="command-line")
    hydra = SimpleNamespace(
        searchpath=[],
        overrides=SimpleNamespace(task=["+sweeps=mine", SECRET]),
        runtime=SimpleNamespace(config_sources=[own]),
    )
    monkeypatch.setattr(sweep_report.HydraConfig, "get", lambda: hydra)

    def write(*args: Any, logger: str = "csv", **more: Any) -> dict[str, str]:
        cfg = configs.compose([f"logger={logger}", f"store={tmp_path}", "sweep.name=mine", SECRET])
        return write_report(cfg, ROWS, tmp_path / "sweep", *args, **more)

    return write


def test_files_and_the_page(written: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    laws = tmp_path / "laws.csv"
    names = "along,metric,title,form,a,b,c,predicted,observed,reason,verdict"
    laws.write_text(f'{names}\ncandidates,recall@10,"tiny, W = 10, λ = 1",y = a,.5,,,.5,.5,,x\n', "utf-8")
    drawing = tmp_path / "law.svg"
    drawing.write_text("<svg/>")
    paths = written((), {"laws": str(laws), "law_figure_svg": str(drawing)}, lead="We found it.")
    assert set(paths) == {"figure", "figure_svg", "figure_frontier", "figure_frontier_svg", "report"}
    text = Path(paths["report"]).read_text("utf-8")
    assert '<p class="finding">We found it.</p>' in text
    assert "promise sweep --config-dir &#39;conf dir&#39; +sweeps=mine" in text
    assert "recall@10, tiny, W = 10, λ = 1" in text and "Scaling laws</h2><svg/>" in text
    assert "postgresql://me:***@host/db" in text and "secret@" not in text
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir()) == [
        "figure-frontier.png", "figure-frontier.svg", "figure.png", "figure.svg", "report.html"
    ]  # fmt: skip


def test_wandb_gets_the_config_and_all_images(written, tmp_path, monkeypatch):
    given: list[Any] = []

    def kept(*args: Any) -> Path:
        given.extend(args)
        return tmp_path / "run"

    monkeypatch.setattr(sweep_report, "summary_run", kept)
    law = str(tmp_path / "law.png")
    assert written((), {"law_figure": law}, logger="wandb")["wandb"] == str(tmp_path / "run")
    _, images, _, group, _, mode, config = given
    assert [Path(image).name for image in images] == ["figure.png", "figure-frontier.png", "law.png"]
    assert (group, mode) == ("mine", "offline")
    assert config["sweep"]["storage"] == "postgresql://me:***@host/db"


def test_other_loggers_get_every_point_by_its_flops(written: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    written(())
    (path,) = tmp_path.glob("logs/summary-mine/*/metrics.csv")
    table = pl.read_csv(path)
    assert table["step"].to_list() == [10_000_000, 20_000_000]
    assert table["search/plain/recall@10"].to_list() == [0.01, 0.02]


def test_tensorboard_gets_the_figures(written: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    logger = Mock(spec=TensorBoardLogger)
    monkeypatch.setattr(sweep_report, "make_logger", lambda *_: logger)
    written(())
    assert [call.kwargs["step"] for call in logger.log_metrics.call_args_list] == [10_000_000, 20_000_000]
    names = {call.args[0]: call.args[1].shape[2] for call in logger.experiment.add_image.call_args_list}
    assert names == {"figures/figure": 4, "figures/figure-frontier": 4}


def measured(search: str, candidates: int, ranks: list[int], kept: list[bool], **row: Any) -> Measured:
    dials = {"search": search, "search.width": 3, "search.candidates": candidates, "search.control": "none"}
    return Measured(dials | row, np.array(ranks), np.array(kept)[:, None])


PLAIN = measured("plain", 3, [NOT_RANKED, 0, NOT_RANKED, 2], [False, True, False, True])
GUIDED = measured("guided", 12, [NOT_RANKED, NOT_RANKED, 1, 0], [False, False, True, True])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([GUIDED], "no guided point has a plain one of its width beside it"),
        ([PLAIN, measured("guided", 12, [0] * 4, [True] * 4, **{"search.width": 4})], "no guided point has a plain"),
        ([PLAIN, measured("guided", 12, [0] * 4, [True] * 4, **{"search.control": "shuffled"})], "no guided point"),
        ([PLAIN, measured("guided", 12, [NOT_RANKED] * 4, [True] * 4)], "the guided one returns no target that plain"),
    ],
)
def test_who_is_not_there_is_not_drawn(
    points: list[Measured], message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done: Any = [(None, each) for each in points]
    assert draw_user(done, tmp_path) == {} and not list(tmp_path.iterdir())
    assert message in caplog.text


def test_the_first_user_whom_guidance_rescues(
    config_of: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = config_of("search=guided", "search.width=3", "search.expansion=4")
    chosen = {"data": "s3rec", "search": "guided", "generator": "tiny", "reward": "dot", "training": "joint"}
    outcome = SimpleNamespace(point=SimpleNamespace(cfg=cfg, chosen=chosen))
    drawn: list[Any] = []
    monkeypatch.setattr(sweep_report, "tree_figure", lambda *words: drawn.append(words) or Figure())
    fewer = measured("guided", 6, [0, 0, 0, 0], [True] * 4)
    done: Any = [(None, PLAIN), (None, fewer), (outcome, GUIDED)]
    paths = draw_user(done, tmp_path)
    assert {name: Path(path).name for name, path in paths.items()} == {
        "one_user_svg": "one_user.svg", "one_user": "one_user.png",
    }  # fmt: skip
    ((nodes, title, note),) = drawn
    assert nodes["target"].sum() == nodes["level"].max()
    assert title == "One user's search: user2"  # the third of all
    assert "W = 3, C = 12" in note and "There are 1 such users of 4; the reverse holds of 1." in note
