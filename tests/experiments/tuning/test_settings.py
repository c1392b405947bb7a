"""Settings of a study: what they mean, and one clear line for everything that is wrong with them."""

from typing import Any

import pytest

from promise.experiments.tuning.settings import Settings, measured
from tests.experiments.tuning.small_studies import ONE, SPACE, settings


def test_values_and_ceilings() -> None:
    made = settings(constraints={"seconds_per_user": 0.01})
    row = {"recall@10": 0.1, "flops_per_user": 2e6, "seconds": 30.0, "users": 2000}
    assert made.values(row) == [0.1, 2e6]
    assert made.excesses(row) == {"seconds_per_user": pytest.approx(0.5)}
    assert settings(**ONE).values(row) == [0.1]


def test_identity_is_what_may_not_change_under_a_name() -> None:
    same = settings(trials=80, sampler="random", parallel=2)
    assert settings().identity == same.identity != settings(constraints={"flops_per_user": 1}).identity


def test_a_figure_that_is_missing() -> None:
    assert measured({"flops_per_user": 3}, "flops_per_user") == 3
    for row in ({}, {"recall@20": None, "search.width": 10}):
        with pytest.raises(ValueError, match=r"^recall@20 is missing: this trial has none"):
            measured(row, "recall@20")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": ["recall@7", "flops_per_user"]}, "s.objectives must be recall@5, recall@10, "),
        ({"objectives": ["recall@10", "ndcg@10"]},
         "s.objectives must be one column, or an accuracy to maximize and a cost to minimize, got recall@10, ndcg@10"),
        ({"objectives": []}, "s.objectives must be one column, or an accuracy to maximize and a cost to minimize, "),
        ({"sampler": "cmaes"}, "s.sampler must be tpe, nsgaii or random, got cmaes"),
        ({"trials": 0}, "s.trials must be an integer >= 1, got 0"),
        ({"parallel": 1.5}, "s.parallel must be an integer >= 1, got 1.5"),
        ({"name": "a/b"}, "s.name must be the name of a folder, got a/b"),
        ({"constraints": {"recall@10": 1}}, "s.constraints must be flops_per_user, "),
        ({"constraints": {"flops_per_user": 0}}, "s.constraints.flops_per_user must be a number > 0, got 0"),
        ({"space": {}}, "s.space must name at least one key"),
        ({"space": {"search.width": {"type": "int", "low": 9, "high": 1}}}, "s.space: search.width: `low <= high`"),
        ({"trails": 3}, "s must have the keys of conf/study/optuna.yaml (defaults: [/study/optuna@sweep.study]), "
                        "missing: none, not known: trails"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(changes: dict[str, Any], message: str) -> None:
    import yaml

    from promise import configs

    given = yaml.safe_load(configs.option_path("study", "optuna").read_text("utf-8"))
    with pytest.raises(ValueError) as error:
        Settings.of({**given, "space": SPACE, **changes}, "s")
    assert str(error.value).startswith(message)
    with pytest.raises(ValueError, match=r"^s must have .*, missing: constraints, name, .*, not known: none$"):
        Settings.of({"space": {}}, "s")
