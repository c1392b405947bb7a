"""`promise append`: new items can be recommended and bought; the old ones stay; wrong input leaves nothing."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.api import Recommender
from promise.models.reward import DotReward
from promise.pipeline.errors import is_check, own_words
from promise.pipeline.model_folder import Model

Rows = list[dict[str, Any]]
NEW: Rows = [{"id": 1000, "text": "kind2 word3"}, {"id": 1001, "text": "kind1"}, {"id": 1002, "text": "kind1 word9"}]


@pytest.fixture
def append(model: Path, here: Path, call: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Run the verb in an empty folder; rows -> items.jsonl."""

    def run(*words: str, rows: Rows = NEW) -> Any:
        (here / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return call("append", f"model={model}", "data.items=items.jsonl", "out=grown", *words)

    return run


def test_new_items_are_recommended_and_old_ones_stay(append: Any, model: Path, world: Any, here: Path) -> None:
    text = {row["id"]: row["text"] for row in map(json.loads, (world.folder / "items.jsonl").read_text().splitlines())}
    twins = [{"id": 2000 + item, "text": text[item]} for item in (7, 10, 13)]
    old = {"id": 7, "text": "something else"}
    said = append(rows=[*NEW, *twins, old, {"id": 3000, "text": "unheard"}, {"id": 3001, "text": None}])
    before, after = Model.open(model), Model.open("grown")
    assert said == {
        "verb": "append",
        "networks": after.fingerprint,
        "items": 46,
        "added": 6,
        "known": 1,
        "left_out": 2,
        "paths": {"model": "grown"},
    }
    assert after.items["id"].to_list() == [*before.items["id"], *(row["id"] for row in [*NEW, *twins])]
    assert after.items["text"][:40].equals(before.items["text"]) and after.origin["appended"] == 6
    assert after.counts.to_list() == [*before.counts, *[0] * 6]
    codes, vectors = after.inputs.ids.codes, after.inputs.item_vectors
    assert np.array_equal(codes[:40], before.inputs.ids.codes) and np.array_equal(
        vectors[:40], before.inputs.item_vectors
    )
    for twin, known in zip((43, 44, 45), (0, 1, 2), strict=True):
        assert codes[twin, 0] == codes[known, 0] and vectors[twin] @ vectors[known] > 0.95
    assert np.linalg.norm(vectors[40:], axis=1) == pytest.approx(1)

    grown, histories = Recommender(after), [items[:-1] for items in world.histories.values()]
    found = grown.recommend(histories, 46, width=46)
    assert all(sorted(items) == sorted(grown.ids) for items in found)
    assert grown.recommend([[1000, 2007], [7]], 3, allow=[1000, 1001, 2007])[0]
    assert list(here.glob(".*")) == []


def test_it_can_be_done_again_and_every_network_goes_on(
    append: Any, run: Any, call: Any, config_of: Any, here: Path
) -> None:
    words = ("cooccurrence=counts", "reward=cross_attention", "reward.dim=16")
    append(f"model={run('train', *words).json['paths']['model']}")
    append("model=grown", "out=again", rows=[*NEW, {"id": 1003, "text": "kind1 word9"}])
    again = Recommender.load("again")
    assert again.model.origin["appended"] == 4 and again.ids[-2:] == [1002, 1003]
    assert set(again.recommend([[1003, 7]], 44, width=44)[0]) == set(again.ids)
    tables = again.model.inputs.tables
    assert {len(table) for table in tables.values()} == {44} and tables["texts.items"][43].unique().tolist() == [43]


def test_items_that_share_paths_are_joined_by_new_ones(append: Any, run: Any, here: Path) -> None:
    append(f"model={run('train', 'ids.collisions=shared', 'ids.levels=2').json['paths']['model']}")
    grown = Recommender.load("grown")
    assert grown.model.inputs.trie.nodes[-1] < 43
    assert sorted(grown.recommend([[1000, 7]], 43, width=43)[0]) == sorted(grown.ids)


def test_ids_keep_the_form_of_the_models(append: Any, run_bare: Any, world: Any, here: Path) -> None:
    events = [(f"i{i}", u, t) for u, items in world.histories.items() for t, i in enumerate(items)]
    pl.DataFrame(events, schema=["item", "user", "time"], orient="row").write_csv("events.csv")
    rows = [{"item": f"i{7 + 3 * n}", "title": f"kind{n % 4} thing"} for n in range(40)]
    pl.DataFrame(rows).write_csv("items.csv")
    words = ["data=table", "data.events=events.csv", "data.items=items.csv", *world.words[3:], "store=s"]
    model = run_bare("train", *words).json["paths"]["model"]
    said = run_bare("append", f"model={model}", "data.items=items.jsonl", "out=grown")
    assert said.error == "data.items: no such file: items.jsonl"
    append(f"model={model}", rows=[{"id": 5, "title": "a kind1", "brand": "thing"}])
    grown = Recommender.load("grown")
    assert grown.ids[-1] == "5" and grown.titles["5"] == "a kind1"


@pytest.mark.parametrize(
    ("words", "rows", "message"),
    [
        (["model=nowhere"], NEW, "model=nowhere is no folder"),
        (["data.items=no.csv"], NEW, "data.items: no such file: no.csv"),
        (["data.item_text=[name]"], NEW, "data.item_text must be one of the columns id, text, got name"),
        (["data.header=maybe"], NEW, "data.header must be true or false, got maybe"),
        (["out=there"], NEW, "out=there is there already: name a folder that is not there"),
        ([], [{"id": "x7", "text": "kind1"}], "data.items: the model's item ids are integers, got 'x7'"),
        ([], [{"id": "007", "text": "kind1"}], "data.items: the model's item ids are integers, got '007'"),
        ([], [{"id": 7, "text": "kind1"}], "data.items=items.jsonl: the model has all 1 items already"),
        ([], [{"id": 1, "text": "unheard"}], "data.items: none of 1 new items has a word that other items have"),
        ([], [{"id": 1}], "data.items: none of 1 new items has a word that other items have"),
        ([], [{"id": n, "text": "kind1"} for n in range(1000, 9000)], "data.items: 8000 new items need a path each, "),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    append: Any, here: Path, words: Any, rows: Rows, message: str
) -> None:
    (here / "there").mkdir()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as raised:
        append(*words, rows=rows)
    assert is_check(raised.value) and "\n" not in own_words(raised.value)
    assert {path.name for path in here.iterdir()} == {"there", "items.jsonl"}


def test_a_model_that_takes_none_is_told_so(append: Any, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(DotReward, "extend")
    with pytest.raises(ValueError, match=f"^model={re.escape(str(model))}: DotReward takes no new items$"):
        append()
    assert not Path("grown").exists()


def test_texts_are_needed(append: Any, run_bare: Any, world: Any, here: Path) -> None:
    words = [word for word in world.words if not word.startswith("data.items=")]
    model = run_bare("train", *words, "store=s").json["paths"]["model"]
    with pytest.raises(
        ValueError, match=r"^data.items: new items are placed by their texts, and the model's items have"
    ):
        append(f"model={model}")
