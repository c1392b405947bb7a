"""Configs of trials, and the experiment file that gives a trial's dials back, whatever the study was run with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

from promise import configs
from promise.experiments.identity import pop
from promise.experiments.tuning.run import LEFT_OUT, write_experiment


@pytest.fixture
def app() -> Iterator[None]:
    """As within a Hydra app."""
    configs.register_search_path()
    with hydra.initialize_config_dir(configs.config_path(), version_base=configs.HYDRA_VERSION_BASE):
        yield


def plain(overrides: list[str]) -> Any:
    cfg, _ = configs.composed(overrides)
    values: Any = OmegaConf.to_container(cfg, resolve=False)
    for name in LEFT_OUT:
        pop(values, name)
    return values


@pytest.mark.parametrize(
    "given",
    [
        ["experiment=quickstart", "store=x", "evaluation.users=30", "trainer=gpu", "logger=csv"],
        ["data=s3rec", "data.sequences=my.txt", "generator=tiny", "generator.dim=16", "reward=cross_attention"],
        ["+sweeps=tune", "training=staged", "training.epochs=3"],
    ],
)
def test_the_experiment_file_gives_the_same_dials(app: None, tmp_path: Path, given: list[str]) -> None:
    words = ["search=orm", "search.width=20", "search.weight=[1,0.5,0.5,0.5]"]
    path = tmp_path / "experiment" / "best.yaml"
    write_experiment([*given, *words], path, ["what it is"])
    assert path.read_text("utf-8").startswith("# @package _global_\n# what it is\n")
    assert [file.name for file in path.parent.iterdir()] == ["best.yaml"]
    again = plain([f"hydra.searchpath=[file://{tmp_path}]", "experiment=best"])
    assert again == plain([*given, *words])
    defaults, _ = configs.composed([])
    text = path.read_text("utf-8")
    assert defaults.store == "outputs" and "\nstore" not in text and "users: 30" not in text and "\ntrainer" not in text


def test_nothing_but_the_defaults(app: None, tmp_path: Path) -> None:
    write_experiment([], tmp_path / "best.yaml", [])
    assert plain([f"hydra.searchpath=[file://{tmp_path.parent}]"]) == plain([])
