"""The verb: what can be asked for, what comes of it, and what is refused before anything is measured."""

import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from promise.bench import run
from promise.bench.measure import Measure, Skipped


def fine(cfg: DictConfig) -> Iterator[Measure]:
    yield Measure("fine", "s", float(cfg.bench.repeats), goal=1.0, direction="at most")


def missing(cfg: DictConfig) -> Iterator[Measure]:
    yield Measure("before", "s", 2.0, goal=1.0, direction="at most")
    raise Skipped("needs a peer")


def broken(cfg: DictConfig) -> Iterator[Measure]:
    yield Measure("half", "s", 1.0)
    raise ZeroDivisionError("oh")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts, of which one has a measurement that needs a peer and one that breaks."""
    for name, offered in {"a": {"fine": fine}, "b": {"missing": missing, "broken": broken}}.items():
        module = types.ModuleType(name)
        module.MEASURES = offered  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"promise.bench.{name}", module)
    monkeypatch.setattr(run, "MODULES", {"a": ("a",), "b": ("b",)})


def test_one_that_fails_does_not_take_the_others_with_it(fake, quick, here, capsys):
    quick.what, quick.bench.save, quick.bench.repeats, quick.bench.runs = "all", str(here / "bench.csv"), 7, 3
    assert run.run(quick) == {
        "verb": "bench",
        "ratios": {"fine": 1.0, "before": 2.0, "half": 1.0},
        "met": 1,
        "missed": ["before"],
        "skipped": {"missing": "needs a peer", "broken": "failed: ZeroDivisionError: oh"},
    }
    assert "promise bench what=all, tiny sizes" in capsys.readouterr().out
    assert len((here / "bench.csv").read_text().splitlines()) == 4


HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"what": "speed"}, r"what must be one of a, b, all, got speed"),
        ({"bench.measures": ["fine", "x"]}, r"bench\.measures must be of fine, missing, broken, got x"),
        ({"bench.measures": []}, r"bench\.measures must name a measurement, got none"),
        ({"bench.repeats": 0}, r"bench\.repeats must be an integer >= 1, got 0"),
        ({"bench.runs": 0}, r"bench\.runs must be an integer >= 1, got 0"),
        ({"bench.events": 1e6}, r"bench\.events must be an integer >= 1, got 1000000\.0"),
        ({"bench.quick": "yes"}, r"bench\.quick must be true or false, got yes"),
        ({"bench.device": "tpu"}, r"bench\.device must be cpu or cuda, got tpu"),
        ({"bench.device": "cuda"}, r"bench\.device=cuda needs a GPU, there is none"),
        ({"bench.save": "table.txt"}, r"bench\.save must end in \.csv, got table\.txt"),
        (
            {"bench.save": f"{__file__}/table.csv"},
            rf"bench\.save={re.escape(__file__)}/table\.csv cannot be written: .+",
        ),
        ({"bench.root": "/nowhere"}, r"bench\.root=/nowhere is no folder"),
        ({"bench.checkpoint": "x.ckpt"}, r"bench\.checkpoint needs bench\.root, the data that it was trained on"),
        ({"bench.root": str(HERE), "bench.checkpoint": "x.ckpt"}, r"bench\.checkpoint=x\.ckpt is no folder"),
    ],
)
def test_bad_input(fake, quick, changes, message, monkeypatch):
    monkeypatch.setattr(run.torch.cuda, "is_available", lambda: False)
    for name, value in {"what": "all", **changes}.items():
        OmegaConf.update(quick, name, value)
    with pytest.raises(ValueError, match=rf"^{message}$"):
        run.run(quick)


def test_the_command(run_bare: Any, here: Path) -> None:
    answer = run_bare("bench", "bench.quick=true", "bench.measures=[guided]", "bench.save=out/bench.csv")
    assert set(answer.json["ratios"]) == {"guided_over_plain", "cross_attention_over_plain"}
    assert json.loads(answer.out.splitlines()[-1])["skipped"] == {}
    assert [path.relative_to(here).as_posix() for path in here.rglob("*")] == ["out", "out/bench.csv"]
    assert "measuring guided" in answer.err


def test_the_command_on_bad_input(run_bare: Any, here: Path) -> None:
    assert run_bare("bench", "what=speed").error == (
        "what must be one of search, training, trie, prepare, all, got speed"
    )
    assert run_bare("bench", "bench.sove=x").error == "bench.sove: unknown; did you mean bench.save?"
