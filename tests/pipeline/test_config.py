"""Config nodes become plain values and objects."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from promise import configs
from promise.pipeline.config import called_by, check_call, data_name, make, make_with, parameters_of, trainings


def test_they_are_the_trainings_in_order() -> None:
    names = {
        option: [fit["_target_"].rsplit(".", 1)[-1] for fit in trainings(configs.compose([f"training={option}"]))]
        for option in ("joint", "staged", "generator")
    }
    assert names == {"joint": ["JointTask"], "staged": ["GeneratorTask", "RewardTask"], "generator": ["GeneratorTask"]}


def test_a_dial_given_to_a_staged_training_holds_for_the_stages_that_have_it() -> None:
    staged = trainings(configs.compose(["training=staged", "training.epochs=3", "training.softmax=all"]))
    assert [fit["epochs"] for fit in staged] == [3, 3]
    assert [fit.get("softmax") for fit in staged] == ["all", None]
    staged = trainings(configs.compose(["training=staged", "training.epochs=3", "training.reward.epochs=5"]))
    assert [fit["epochs"] for fit in staged] == [3, 5]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["data=amazon_union", "data.root=here"], "amazon_union"),
        (["data=amazon_union", "data.root=here", "data.ties=shuffle"], "amazon_union:ties=shuffle"),
        (["data=movielens", "data.root=.", "data.split=time"], "movielens:split=time"),
        (["data=amazon_union", "data.root=.", "data.domains=[book]"], "amazon_union:domains=[book]"),
        (["data=table", "data.events=/my/clicks.csv", "data.user=a/b", "data.repeats=last"], "table:repeats=last"),
        *(([f"data={name}"], name) for name in configs.groups()["data"]),
    ],
)
def test_the_name_of_data_tells_how_they_were_prepared(words: list[str], name: str) -> None:
    assert data_name(words[0].partition("=")[2], configs.compose(words).data) == name


def test_make_passes_run_time_objects_on_as_they_are() -> None:
    marker = object()
    made = make(OmegaConf.create({"_target_": "builtins.dict", "a": [1, 2]}), b=marker)
    assert made == {"a": [1, 2], "b": marker}
    assert type(made["a"]) is list


def test_constructors_get_what_they_name_and_the_config_does_not_hold() -> None:
    target = "promise.tasks.joint.JointTask"  # passes keywords on to the task above it
    assert {"softmax", "item_counts", "ranker", "trie"} <= parameters_of(target)
    node = {"_target_": "promise.search.cost.Cost", "users": 3}
    makers = {"users": lambda: pytest.fail("held"), "flops": lambda: 7, "other": lambda: pytest.fail("not named")}
    made = make_with(node, makers)
    assert (made.users, made.flops) == (3, 7)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere.reward.Mine", r"cannot be loaded, No module named 'nowhere': its folder must be on PYTHONPATH \("),
        ("promise.models.nowhere.Mine", r"cannot be loaded, No module named 'promise\.models\.nowhere'$"),
        ("promise.models.reward.Mine", r"cannot be loaded, module 'promise\.models\.reward' has no attribute 'Mine'$"),
    ],
)
def test_what_cannot_be_loaded_is_told(target: str, said: str) -> None:
    with pytest.raises(ValueError, match=rf"^{target} {said}"):
        called_by(target)


def test_a_file_that_lacks_a_library_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lacking").mkdir()
    (tmp_path / "lacking" / "part.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"^lacking\.part\.Mine cannot be loaded, No module named 'no_such_library'$"):
        called_by("lacking.part.Mine")


def test_a_class_that_lacks_something_is_told_before_it_is_made() -> None:
    target = "promise.models.reward.model.RewardModel"
    with pytest.raises(ValueError, match=rf"^{target} must define score$"):
        check_call(target, {"prefixes"})
    target = "promise.models.generator.Generator"
    with pytest.raises(
        ValueError, match=rf"^{target} needs .*\bheads\b.*, not found in its YAML file, nor among its run"
    ):
        make_with({"_target_": target, "dim": 8}, {"codes": lambda: pytest.fail("made")})
