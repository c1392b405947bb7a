"""What a study finds: the front and its knee, or the best trials, and the file that gives a trial's dials back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

from promise import configs
from promise.experiments.identity import pop
from promise.experiments.tuning.run import LEFT_OUT, find, show_findings, write_experiment
from tests.experiments.tuning.small_studies import ONE, settings


def rows(*points: tuple[float, float]) -> list[dict[str, Any]]:
    return [
        {"trial": number, "status": "done", "search": "guided", "recall@10": accuracy, "flops_per_user": cost}
        for number, (accuracy, cost) in enumerate(points)
    ]


POINTS = rows((0.05, 1e6), (0.08, 1e7), (0.08, 1e7), (0.07, 2e7), (0.081, 1e8))


def test_the_front_and_its_knee() -> None:
    assert find(settings(), [*POINTS, {"trial": 5, "status": "failed"}], running=2) == {
        "points": 6, "wanted": 40, "failed": 1, "running": 2, "above": 0,
        "front": [0, 1, 4], "best": 1,  # of equal ones the first
    }  # fmt: skip
    free = find(settings(), rows((0.06, 0.0), (0.05, 1e6), (0.08, 1e7), (0.081, 1e8)))
    assert free["front"] == [0, 2, 3] and free["best"] == 2  # counts cost nothing, and are on no logarithmic scale
    assert find(settings(), rows((0.06, 0.0)))["best"] == 0
    nothing = find(settings(), [])
    assert (nothing["best"], nothing["front"]) == (None, [])


def test_the_best_one_within_the_ceilings(capsys: pytest.CaptureFixture[str]) -> None:
    found = find(settings(**ONE), POINTS)
    assert found["best"] == 4 and found["front"] == [4, 1, 2, 3, 0]
    limited = settings(constraints={"flops_per_user": 5e7}, **ONE)
    found = find(limited, POINTS)
    assert found["best"] == 1 and found["above"] == 1 and found["front"] == [1, 2, 3, 0]
    show_findings(limited, "mine", found, POINTS)
    out = capsys.readouterr().out
    assert "Best trials (mine)" in out and "best" in out and "10 MFLOP" in out
    assert "5 of 40 trials, 1 above a ceiling" in out


def test_the_front_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    two = settings()
    show_findings(two, "mine", find(two, POINTS), POINTS)
    out = capsys.readouterr().out
    assert "Front: no trial is better in both (mine)" in out and out.count("knee") == 1
    assert "5 of 40 trials" in out
    show_findings(two, "mine", find(two, []), [])
    assert capsys.readouterr().out.startswith("0 of 40 trials\n")


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
