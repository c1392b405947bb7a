"""An identity holds everything that figures depend on, files by their contents, and nothing of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

import promise
from promise import configs
from promise.experiments.identity import data_label, identity, path_fingerprint

ConfigOf = Callable[..., DictConfig]


def test_runs_of_one_experiment_and_of_others(config_of: ConfigOf, world: Any, tmp_path: Path) -> None:
    known = identity(config_of())
    copy = tmp_path / "copy.txt"
    copy.write_bytes((world.folder / "sequences.txt").read_bytes())
    for same in (
        "store=x",
        "build=never",
        "retry_failed=true",
        "sweep.name=x",
        "logger=wandb",
        f"data.sequences={copy}",
    ):
        assert identity(config_of(same)) == known
    copy.write_text("a 7 10 13\n")
    others = ("search.width=3", "seed=1", "split=test", "datamodule.history=5", "evaluation.users=3", "generator.dim=8")
    for other in (*others, f"data.sequences={copy}", "trainer.gradient_clip_val=3", "embeddings=text"):
        assert identity(config_of(other)) != known
    width = ["search.width"]
    assert identity(config_of("search.width=3"), width) == identity(config_of(), width)


def test_lists_and_checkpoints_count_by_their_contents(config_of: ConfigOf, tmp_path: Path) -> None:
    for name, text in (("a", "7"), ("b", "7"), ("c", "10")):
        (tmp_path / name).write_text(text)
    for key in ("evaluation.allow", "checkpoint", "ids.path"):
        a, b, c = (identity(config_of(f"{key}={tmp_path / name}")) for name in "abc")
        assert a == b != c
    words = ["embeddings@content=given", "content.path="]
    a, b, c = (identity(config_of(words[0], f"{words[1]}{tmp_path / name}")) for name in "abc")
    assert a == b != c
    lists = [identity(config_of("search=predictions", f"search.file={tmp_path / name}")) for name in ("a", "b", "c")]
    assert lists[0] == lists[1] != lists[2]
    assert path_fingerprint(tmp_path / "[ab]") != path_fingerprint(tmp_path / "[ac]")
    before = path_fingerprint(tmp_path)
    (tmp_path / "c").write_text("11")
    assert path_fingerprint(tmp_path) != before


def test_another_version_is_another_experiment(config_of: ConfigOf, monkeypatch: pytest.MonkeyPatch) -> None:
    known = identity(config_of())
    monkeypatch.setattr(promise, "__version__", "0.0.9")
    assert identity(config_of()) != known


def test_data_have_a_readable_label(config_of: ConfigOf) -> None:
    assert data_label(config_of(), "s3rec") == "s3rec (sequences.txt, items.jsonl)"
    assert data_label(configs.compose(), "synthetic") == "synthetic"
