"""The command finds its verb, leaves Hydra's words alone, and starts without the slow imports."""

import os
import resource
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import promise
from promise import cli, configs
from promise.pipeline.store import Store

SLOW = {"torch", "lightning", "torchmetrics", "hydra", "omegaconf", "wandb", "polars", "sklearn", "scipy"}


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `main` sets in the process is put back after each test."""
    for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "PROMISE_VERB", "LOCAL_RANK"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["promise"])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A verb `train` that keeps what Hydra would see."""
    seen: list[list[str]] = []
    module = types.ModuleType("promise.fake_verb")
    module.main = lambda: seen.append(sys.argv[:])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "promise.fake_verb", module)
    monkeypatch.setitem(cli.VERBS, "train", ("promise.fake_verb", "a stand-in"))
    return seen


@pytest.mark.parametrize(
    "words", [[], ["seed=1", "evaluation.allow=a b", "++store=x"], ["--cfg", "job"], ["-m", "search.width=10,20"]]
)
def test_words_reach_hydra_untouched(calls: list[list[str]], words: list[str]) -> None:
    assert cli.main(["train", *words]) == 0
    assert calls == [["promise", *words]]
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_flags_among_overrides_come_before_them(calls: list[list[str]]) -> None:
    folder = str(Path(__file__).parent)
    assert cli.main(["train", "seed=1", "--config-dir", folder, "split=test", "-m", "seed=1"]) == 0
    assert calls == [["promise", "--config-dir", folder, "-m", "seed=1", "split=test", "seed=1"]]


def test_workers_of_a_launcher_have_one_thread_each(calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("launcher=basic", "seed=1"):
        cli.main(["train", word])
        assert "OMP_NUM_THREADS" not in os.environ
    cli.main(["train", "-m", "launcher=joblib"])
    assert os.environ["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    cli.main(["train", "launcher=slurm"])
    assert os.environ["OMP_NUM_THREADS"] == "4"


def test_other_ranks_run_the_verb_that_started_them(calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    cli.main(["train", "seed=1"])
    monkeypatch.setenv("LOCAL_RANK", "1")
    cli.main(["seed=1"])
    cli.main(["train", "seed=1"])
    assert calls == [["promise", "seed=1"]] * 3


@pytest.mark.parametrize(
    ("word", "hint"),
    [("evalaute", " Did you mean 'evaluate'?"), ("artefacts", " Did you mean 'artifacts'?"), ("x=1", "")],
)
def test_an_unknown_verb_is_one_line_and_exit_code_2(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    verbs = "prepare, train, evaluate, score, recommend, serve, append, push, pull, sweep, bench, results, artifacts"
    assert err == f"promise: unknown verb '{word}'; the verbs are {verbs}, ids.{hint}\n"


@pytest.mark.parametrize("words", [[], ["sweep", "+sweeps=tune", "--help"]])
def test_help_is_quick(words: list[str]) -> None:
    script = (
        "import sys\nfrom promise.cli import main\n"
        f"main({words!r})\nprint(*sorted({SLOW!r} & set(sys.modules)), file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5  # seconds of CPU time
    assert done.stderr.split() == []
    for group, options in configs.groups().items():
        assert f"{group}=" in done.stdout
        assert all(option in done.stdout for option in options)


def test_python_m_promise() -> None:
    command = [sys.executable, "-m", "promise", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"promise {promise.__version__}\n"
    assert subprocess.run([*command[:3], "nothing"], capture_output=True).returncode == 2


def test_artifacts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "artifacts")
    words = ["--store", str(tmp_path)]

    def build(folder: Path) -> dict[str, str]:
        (folder / "a.txt").write_text("a" * 2_500_000)
        return {"fingerprint": "f"}

    key = store.get_or_build("ids", {}, {}, 1, build).path.name
    assert cli.main(["artifacts", "ls", *words]) == 0
    assert capsys.readouterr().out.split()[:3] == [key, "2.5", "MB"]
    assert cli.main(["artifacts", "verify", *words]) == 0
    assert capsys.readouterr().out.split() == [key, "ok"]
    (store.root / key / "a.txt").write_text("b")
    assert cli.main(["artifacts", "verify", *words]) == 2
    assert "a.txt has changed" in capsys.readouterr().out
    assert cli.main(["artifacts", "rm", "none", *words]) == 2
    assert capsys.readouterr().err == f"promise artifacts: no artifact is named 'none' in {store.root}\n"
    assert cli.main(["artifacts", "rm", "ids-*", *words]) == 0
    assert capsys.readouterr().out == f"removed {key}\n"
    assert cli.main(["artifacts", "ls", *words]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("words", [[], ["mv"], ["rm"]])
def test_artifacts_without_a_subcommand(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["artifacts", *words])
    assert stop.value.code == 2
    assert "usage: promise artifacts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("search.widht=3", "search.widht: unknown; did you mean search.width?"),
        ("+evaluation.user=10", "evaluation.user: unknown; did you mean evaluation.users?"),
        ("+sedd=3", "sedd: unknown; did you mean seed?"),
        (
            "trainer.max_steps=2",
            "Could not override 'trainer.max_steps'. To append to your config use +trainer.max_steps=2",
        ),
        ("search=guidd", "search must be one of best_of_n, "),
        ("logger=mlflow", "logger must be one of csv, tensorboard, wandb, got mlflow"),
        ("~search.width", "~search.width: nothing can be left out; give it another value"),
        ("search.width=10,20", "Ambiguous value for argument 'search.width=10,20' 1. To use it as a list"),
        ("evaluation=3", "evaluation takes no value, its keys do: evaluation.users, "),
        ("--config-dir nowhere", "--config-dir nowhere is no folder"),
        ("--nothing", "unrecognized arguments: --nothing; options have no dashes, KEY=VALUE"),
        ("--experiment smoke", "unrecognized arguments: --experiment; options have no dashes, KEY=VALUE"),
        ("+sweeps=widht", "+sweeps must be one of candidates, "),
        ("sweeps=width", "Could not override 'sweeps'. No match in the defaults list."),
        ("+search.width=3", "Could not append to config. An item is already at 'search.width'."),
        ("seed", "seed cannot be read: what stands behind a verb is KEY=VALUE"),
        ("smoke", "smoke cannot be read: what stands behind a verb is KEY=VALUE, such as experiment=smoke"),
        ("+experiment=smoke", "+experiment: leave the + out, it is there already"),
        ("seed=(", "seed=( cannot be read: if it is meant so, type it in quotes of its own: \"seed='('\""),
        ("-m predictions=p.jsonl search.width=5,10", "predictions=p.jsonl would be written by every job of -m"),
        ("store=file/x", "store=file/x cannot be written: Not a directory"),
        ("data=s3rec experiment=smoke", "data.sequences must be given"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run_bare, here, words, line):
    (here / "file").touch()
    assert run_bare("evaluate", *words.split()).error.startswith(line)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sedd: 3", "experiment=mine sets sedd: unknown; did you mean seed?"),
        (  # a list may be of any length
            "defaults: [{override /data: table}]\ndata: {events: no.csv, item_text: [a, b]}\nids: {codes: [8, 8]}",
            "data.events: no such file: no.csv",
        ),
    ],
)
def test_what_an_experiment_sets_must_exist(run_bare: Any, here: Path, text: str, error: str) -> None:
    (here / "experiment").mkdir()
    (here / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}\n")
    assert run_bare("train", "--config-dir", ".", "experiment=mine").error == error
