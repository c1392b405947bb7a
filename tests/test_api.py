"""A model folder recommends without data, what is opened in Python is what the command runs, wrong words say so."""

import dataclasses
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

import promise
from promise.api import Recommender, load, open_point
from promise.train import model_folder

Run = Callable[..., Any]


def test_a_model_recommends_the_same_anywhere(run, run_bare, world, model, tmp_path, monkeypatch):
    here = tmp_path / "here.parquet"
    run("evaluate", f"predictions={here}", "split=test")
    moved = shutil.copytree(model, tmp_path / "elsewhere" / "my model")
    monkeypatch.chdir(moved.parent)
    data = world.words[:3]
    words = [*data, "split=test", "store=other", "logger=csv", "checkpoint='my model'", "predictions=p.parquet"]
    said = run_bare("evaluate", *words).json
    assert said["trained"] == ["data"] and said["dials"]["generator"] == "tiny"
    first, again = pl.read_parquet(here), pl.read_parquet("p.parquet")
    assert first.equals(again)
    histories = [world.histories[user][:-1] for user in first["user"]]
    found = load("my model").recommend(histories, k=20)
    assert found == first["items"].to_list()
    assert [len(row) for row in load("my model", remove_seen=True).recommend(histories[:3], k=5)] == [5, 5, 5]


def test_wrong_histories(model: Path) -> None:
    recommender = load(model)
    with pytest.raises(ValueError, match=r"^the history of user 1 names item 8, which the model does not know$"):
        recommender.recommend([[7, 10], [7, 8]])
    with pytest.raises(ValueError, match=r"^the history of user 0 names item \['x'\], which the model does not know$"):
        recommender.recommend([[7, ["x"]]])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"^the history of user 0 is empty$"):
        recommender.recommend([[]])
    with pytest.raises(ValueError, match=r"^the history of user 0 must be a list of item ids, got 'B7'$"):
        recommender.recommend(["B7"])
    with pytest.raises(ValueError, match=r"^the history of user 0 must be a list of item ids, got 7$"):
        recommender.recommend([7, 10])  # type: ignore[list-item]
    assert list(recommender.titles) == recommender.ids
    with pytest.raises(ValueError, match=r"^history must be an integer >= 1, got 0$"):
        recommender.export("search.pt2", history=0)
    for options, message in (
        ({"k": 0}, "k must be an integer >= 1, got 0"),
        ({"k": 41}, "k must be at most 40, the items of the catalogue, got 41"),
        ({"k": 9, "width": 8}, "search.width must be >= k=9, got 8"),
        ({"candidates": 3}, "search.candidates must be an integer >= search.width=20, got 3"),
        ({"weight": 1.5}, "search.weight must be a number in [0, 1], got 1.5"),
        ({"allow": []}, "allow must name at least one item, got none"),
        ({"deny": [8]}, "deny names item 8, which the model does not know"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            recommender.recommend([[7]], **options)
    with pytest.raises(ValueError, match=r"^explain names item 8, which the model does not know$"):
        recommender.explain([7], 8)
    exhaustive = {"_target_": "promise.search.rankers.exhaustive.ExhaustiveSearch", "weight": 1.0, "temperature": 1.0}
    other = Recommender(dataclasses.replace(recommender.model, search=exhaustive))
    assert len(other.recommend([[7]], k=30)[0]) == 30
    with pytest.raises(ValueError, match=r"^search.width=9 means nothing to promise.*ExhaustiveSearch$"):
        other.recommend([[7]], width=9)
    with pytest.raises(ValueError, match=r"^explain needs a beam search, the model's is promise.*ExhaustiveSearch$"):
        other.explain([7], 10)
    adaptive = dataclasses.replace(recommender.model, search=recommender.model.search | {"adaptive": "entropy"})
    with pytest.raises(ValueError, match=r"^the model's search\.adaptive=entropy needs validation users: "):
        Recommender(adaptive)
    recommender.model.search["_target_"] = "promise.search.rankers.counts.Popularity"
    with pytest.raises(ValueError, match=r"^the model's search .* needs data: training$"):
        Recommender(recommender.model)


def test_an_exported_search_needs_torch_alone(world: Any, model: Path, tmp_path: Path) -> None:
    recommender, histories = Recommender.load(model, remove_seen=True), list(world.histories.values())[:7]
    options: dict[str, Any] = {"allow": recommender.ids[:12], "deny": recommender.ids[3:5], "width": 20}
    recommender.export(tmp_path / "search.pt2", 10, history=30, **options)
    files = {"items.json": ""}
    program = torch.export.load(tmp_path / "search.pt2", extra_files=files)
    history = torch.zeros(7, 30, dtype=torch.int64)
    for row, items in zip(history, histories, strict=True):
        row[: len(items)] = torch.tensor([recommender.index[item] for item in items])
    items, scores = program.module()(history, torch.tensor([len(each) for each in histories]))
    names = json.loads(files["items.json"])
    found = [[names[item] for item in row if item >= 0] for row in items.tolist()]
    assert found == recommender.recommend(histories, 10, **options) and min(map(len, found)) < 10
    assert (scores.isinf() == (items < 0)).all() and (scores[:, :-1] >= scores[:, 1:]).all()
    with pytest.raises(ValueError, match=r"^export writes a file that ends in .pt2, got search.onnx$"):
        recommender.export("search.onnx")


def test_width_suits_k_and_lists_narrow(world: Any, model: Path) -> None:
    recommender, histories = Recommender.load(model), list(world.histories.values())[:9]
    assert all(len(set(row)) == 40 for row in recommender.recommend(histories, k=40))
    few = recommender.recommend(histories, k=3, allow=[7, 10, 13, 16], deny=[16])
    assert all(set(row) == {7, 10, 13} for row in few)
    assert recommender.recommend(histories, k=3, width=40, weight=0) != recommender.recommend(histories, k=3)
    assert recommender.recommend(histories, k=20, candidates=200) == recommender.recommend(histories, k=20)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_an_explanation_is_what_the_search_did(world: Any, model: Path, weight: float) -> None:
    recommender = load(model)
    for history in list(world.histories.values())[:2]:
        options = {"width": 6, "candidates": 12, "weight": weight}
        batch = recommender.batch([history], 0)
        items, scores = recommender.ranker(6, {}, **options).rank(batch, 6)[:2]
        plain = recommender.recommend([history], k=6, width=6, weight=0)[0]
        for item in {*range(0, 40, 5), *items[0].tolist()}:
            name = recommender.ids[item]
            table = recommender.explain(history, name, **options)
            assert table["level"].to_list() == list(range(1, 1 + len(table)))
            assert table["code"].to_list() == recommender.model.inputs.ids.codes[item].tolist()
            last = table.row(-1, named=True)
            assert last["kept"] == (item in items[0]) and last["plain"] == (name in plain)
            assert all(table["rank"].is_not_null() | ~table["kept"])
            if last["kept"]:
                place = items[0].tolist().index(item)
                score = weight * last["reward"] + (1 - weight) * sum(map(math.log, table["probability"]))
                assert last["rank"] == place + 1 and score == pytest.approx(scores[0, place].item(), abs=1e-4)
    seen = load(model, remove_seen=True).explain([7], 7)
    assert seen["probability"][-1] == 0.0 and not seen["kept"][-1] and seen["rank"][-1] is None


def test_the_package_is_imported_in_a_moment() -> None:
    script = "import sys, promise; assert not {'torch', 'numpy', 'polars'} & {*sys.modules}; print(promise.SemanticIds)"
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert said == "<class 'promise.ids.semantic_ids.SemanticIds'>\n"
    assert all(getattr(promise, name) for name in promise.__all__)
    with pytest.raises(AttributeError, match=r"^module 'promise' has no attribute 'Tree'$"):
        _ = promise.Tree


@pytest.mark.parametrize(
    "name", ["model.json", "weights.safetensors", "ids.npz", "tables.safetensors", "items.parquet"]
)
def test_a_missing_or_changed_file_is_named(model: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(model, tmp_path / "model")
    content = (folder / name).read_bytes()
    half = len(content) // 2
    (folder / name).write_bytes(content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :])
    with pytest.raises(ValueError, match=rf"^{folder / name} has changed since the model was written$"):
        load(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"^{folder / name} is missing: "):
        load(folder)


def test_a_later_format_is_refused(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "model")
    described = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(described | {"format": 99}))
    with pytest.raises(ValueError, match=r"model\.json is of format 99, this version reads 1$"):
        load(folder)


def test_the_name_is_a_function_of_the_contents(run: Run, model: Path, tmp_path: Path) -> None:
    assert run("train").json["paths"]["model"] == str(model)
    again = Path(run("train", store=tmp_path / "again").json["paths"]["model"])
    assert again.name == model.name and not list(again.parent.glob(".*"))
    plain = Path(run("train", "search=plain").json["paths"]["model"])
    networks = [json.loads((folder / "model.json").read_text())["networks"] for folder in (plain, model)]
    assert plain.name != model.name and networks[0] == networks[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generator.dim=32"], "generator.dim=16, the config says 32"),
        (["reward=cross_attention"], "reward._target_=promise.models.reward.DotReward, the config says promise"),
        (["embeddings.parts.text.embedding.ngrams=1"], "embeddings.parts.text.embedding.ngrams=2, the config says 1"),
        (["generator.user_state=false"], "generator.user_state=True, the config says False"),
        (["datamodule.history=5"], "generator.history=20, the config says 5"),
    ],
)
def test_what_contradicts_a_model_is_named(run: Run, model: Path, words: list[str], message: str) -> None:
    error = run("evaluate", f"checkpoint={model}", *words).error
    assert error.startswith(f"checkpoint={model} has {message}")


def test_other_ids_and_another_catalogue_are_named(run: Run, world: Any, model: Path, tmp_path: Path) -> None:
    other = run("prepare", "seed=1").json["paths"]["ids"]
    error = run("evaluate", f"checkpoint={model}", f"ids.path={other}").error
    assert error == f"checkpoint={model} has other semantic IDs than ids.path={other}: leave that out"
    lines = (world.folder / "items.jsonl").read_text().splitlines()
    (tmp_path / "items.jsonl").write_text("\n".join([*lines, *(json.dumps({"id": id_}) for id_ in (999, 8))]))
    error = run("evaluate", f"checkpoint={model}", f"data.items={tmp_path / 'items.jsonl'}").error
    assert error == f"checkpoint={model} does not know 2 of 42 items of the data, first 8"


def test_items_of_other_data_are_found_by_their_ids(run, run_bare, world, model, tmp_path, monkeypatch):
    """Some users over some items of the catalogue: every number of theirs differs, their answers do not."""
    everybody = tmp_path / "all.parquet"
    run("evaluate", f"predictions={everybody}", "split=test")
    few = dict(list(world.histories.items())[10:14])
    (tmp_path / "few.txt").write_text("\n".join(" ".join(map(str, [user, *items])) for user, items in few.items()))
    monkeypatch.chdir(tmp_path)
    data = ["data=s3rec", "data.sequences=few.txt", "data.items=null", "store=other", "logger=csv"]
    words = [*data, "split=test", f"checkpoint={model}"]
    said = run_bare("evaluate", *words, "predictions=few.parquet").json
    assert said["trained"] == ["data", "data"] and said["users"] == len(few)
    unasked = run_bare("evaluate", f"checkpoint={model}", "store=other").error
    assert unasked == f"checkpoint={model} was trained on data=s3rec, this run has data=synthetic: type the data, too"
    assert said["baselines"]["popularity"]["recall@20"] is not None
    first, found = (
        pl.read_parquet(path).filter(pl.col("user").is_in(list(few))) for path in (everybody, "few.parquet")
    )
    assert len({item for items in few.values() for item in items}) < 40 and first.equals(found)
    histories = [few[user][:-1] for user in found["user"]]
    assert load(model).recommend(histories, k=20) == found["items"].to_list()
    assert run_bare("evaluate", *words, "build=never").json["paths"]["row"] == said["paths"]["row"]
    own = run_bare("evaluate", *words[:-1], "search=popularity").json["paths"]["row"]
    assert run_bare("evaluate", *words, "search=popularity").json["paths"]["row"] != own  # of another catalogue


def test_rows_are_keyed_by_what_they_depend_on(run: Run, model: Path, tmp_path: Path) -> None:
    first = run("evaluate", "search.width=9").json
    path = Path(first["paths"]["row"])
    before = path.read_bytes()
    given = run("evaluate", "search.width=9", f"checkpoint={model}", f"predictions={tmp_path / 'p.parquet'}").json
    assert given["paths"]["row"] == first["paths"]["row"] and path.read_bytes() == before
    other = Path(run("train", "embeddings=text", "embeddings.dim=12").json["paths"]["model"])
    words = ["search.width=9", f"checkpoint={other}", "embeddings=text", "embeddings.dim=12"]
    theirs = run("evaluate", *words, f"predictions={tmp_path / 'q.parquet'}").json
    assert theirs["paths"]["row"] != first["paths"]["row"] and path.read_bytes() == before
    again = run("evaluate", "search.width=9").json
    assert again["metrics"] == first["metrics"] and again["paths"] == first["paths"]


def test_it_is_the_point_of_the_command(run: Run, world: Any, shared_store: Path) -> None:
    options = ("search=guided", "search.width=7", "search.expansion=2")
    point = open_point([*world.words, f"store={shared_store}", *options])
    result, _ = point.result()
    assert Recommender.load(model_folder(point.pipeline, point.choices)).model.search["width"] == 7
    said = run("evaluate", *options, "build=never").json
    assert said["paths"]["row"] == str(result.path)
    assert said["metrics"]["recall@5"] == result.row["recall@5"]
    assert result.row["data"] == "s3rec" and result.row["search"] == "guided"


def test_wrong_words() -> None:
    with pytest.raises(ValueError, match=r"^training\.epoch: unknown; did you mean training\.epochs\?$"):
        open_point(["training.epoch=3"])
