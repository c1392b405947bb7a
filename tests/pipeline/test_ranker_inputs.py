"""What rankers are given: nobody gets what he does not ask for; lists of a file are checked, by their ids."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.pipeline.ranker_inputs import fingerprints, ranker_inputs, read_lists
from promise.pipeline.stages import Pipeline

PipelineOf = Callable[..., Any]


def test_nobody_gets_what_he_does_not_ask_for(pipeline_of: PipelineOf, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("networks", "sasrec_artifact", "ids", "model"):
        monkeypatch.setattr(Pipeline, name, property(lambda self: pytest.fail("built for nothing")))
    pipeline = pipeline_of("evaluation.remove_seen=true", "seed=3")
    makers = ranker_inputs(pipeline)
    found = {name: makers[name]() for name in ("training", "item_count", "remove_seen", "seed")}
    items, offsets = found.pop("training")
    assert found == {"item_count": 40, "remove_seen": True, "seed": 3}
    assert len(items) == offsets[-1] and len(offsets) == 61
    assert fingerprints(pipeline, {"training"}) == {}


def test_words_of_the_texts(pipeline_of: PipelineOf) -> None:
    words = ranker_inputs(pipeline_of())["words"]()
    assert words.shape[0] == 40
    likeness = (words @ words.T).toarray()
    np.testing.assert_allclose(likeness.diagonal(), 1, atol=1e-6)
    # Items 0 and 28 are of one kind and share a word, 0 and 4 the kind alone, 0 and 1 nothing.
    assert likeness[0, 28] > likeness[0, 4] > likeness[0, 1] == 0


def test_no_texts_are_told(run: Any) -> None:
    answer = run("evaluate", "search=co_visit_text", "data.items=null")
    assert answer.error == "search=co_visit_text needs item texts, the data have none: use search=co_visit"


def test_what_is_asked_names_a_row(pipeline_of: PipelineOf) -> None:
    pipeline = pipeline_of()
    assert fingerprints(pipeline, {"generator"}) == {"networks": pipeline.model.fingerprint}
    assert set(fingerprints(pipeline, {"trie", "item_vectors"})) == {"networks", "vectors"}


def test_co_visit_text_is_searched_like_any_other(run: Any) -> None:
    said = run("evaluate", "search=co_visit_text", "evaluation.remove_seen=true").json
    assert said["dials"]["search.text_weight"] == 30 and said["parameters"] is None
    assert 0 < said["metrics"]["recall@10"] <= 1 and set(said["baselines"]) == {"popularity", "co_visit"}


def test_the_oracle_is_the_ceiling_of_a_simulated_shop_alone(run: Any, run_bare: Any, shared_store: Any) -> None:
    shop = ["data.users=400", "data.items=150", "logger=csv", f"store={shared_store}"]
    said = run_bare("evaluate", "search=oracle", *shop).json
    assert said["metrics"]["recall@10"] > max(each["recall@10"] for each in said["baselines"].values()) + 0.05
    assert run("evaluate", "search=oracle").error.startswith(
        "search=oracle needs a simulated shop (data=synthetic), got "
    )


@pytest.fixture(scope="module")
def written(run: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    file = tmp_path_factory.mktemp("lists") / "lists.parquet"
    return file, run("evaluate", "search=co_visit", f"predictions={file}").json


@pytest.mark.parametrize("form", ["lists", "rows"])
def test_metrics_are_those_of_the_search_that_wrote_the_lists(run, written, tmp_path, form):
    file, said = written
    if form == "rows":
        table = pl.read_parquet(file).select("user", "items").explode("items", empty_as_null=True)
        (file := tmp_path / "rows.csv").write_text(table.rename({"items": "item"}).write_csv())
    found = run("evaluate", "search=predictions", f"search.file={file}", "search.width=5").json
    for name in ("recall@5", "ndcg@5"):
        assert found["metrics"][name] == said["metrics"][name] > 0
    assert found["metrics"]["recall@10"] is None and found["parameters"] is None


def test_a_file_that_changes_is_another_row_and_a_user_without_a_list_finds_nothing(run, written, tmp_path):
    table, file = pl.read_parquet(written[0]), tmp_path / "p.jsonl"
    recalls = []
    for items in ([[target] for target in table["target"]], [["9999"]] * len(table)):
        rows = [{"user": u, "items": i} for u, i in zip(table["user"][:-1], items, strict=False)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        answer = run("evaluate", "search=predictions", f"search.file={file}", "search.width=1", "evaluation.users=null")
        recalls.append(answer)
    assert recalls[1].error.startswith(f"search.file={file} has ")
    ranks = recalls[0].json["paths"]["row"]
    assert json.loads(Path(ranks).read_text())["incomplete_users"] == 1


def test_past_items_leave_the_list_and_others_move_up(pipeline_of: Any, tmp_path: Path) -> None:
    pipeline = pipeline_of()
    ids, history = pipeline.interactions.items["id"], pipeline.histories.history("validation", [0])[0][0]
    other = min(set(range(40)) - set(history.tolist()))
    (file := tmp_path / "p.jsonl").write_text(
        json.dumps({"user": pipeline.interactions.users[0], "items": [ids[int(history[0])], ids[other]]})
    )
    assert read_lists(pipeline, str(file), False).items.tolist() == [history[0], other]
    assert read_lists(pipeline, str(file), True).items.tolist() == [other]


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([{"user": "nobody", "items": ["ITEM"]}], "has 1 users whom the data don't have, first nobody"),
        ([{"user": "USER", "items": ["ITEM", "ITEM"]}], "has an item twice in the list of one user"),
        ([{"user": "USER", "items": ["zz"]}], "has 1 items that the data don't have, such as 'zz'"),
        ([{"user": "USER", "what": 3}], "data.item must be one of the columns user, what"),
    ],
)
def test_what_is_not_of_the_data(pipeline_of: Any, tmp_path: Path, rows: list[Any], error: str) -> None:
    pipeline = pipeline_of()
    known = pipeline.interactions
    words = {'"USER"': known.users[0], '"ITEM"': str(known.items["id"][0])}
    text = "".join(json.dumps(row) + "\n" for row in rows)
    for word, value in words.items():
        text = text.replace(word, json.dumps(value))
    (file := tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(ValueError, match=error):
        read_lists(pipeline, str(file), False)


def test_lists_shorter_than_the_width_are_one_line(run: Any, tmp_path: Path, world: Any) -> None:
    (file := tmp_path / "p.jsonl").write_text(json.dumps({"user": next(iter(world.histories)), "items": [7]}))
    error = run("evaluate", "search=predictions", f"search.file={file}").error
    assert error == f"search.width=10: the longest list of {file} has 1 items"
