"""`promise prepare` reads the data, makes semantic IDs, reports both, and does neither twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promise.ids.semantic_ids import SemanticIds

Run = Callable[..., Any]


def test_prepare_reports_data_and_ids(run: Run, world: Any, tmp_path: Path) -> None:
    answer = run("prepare", store=tmp_path)
    said = answer.json
    assert set(said) == {"verb", "data", "card", "ids", "trained", "paths"}
    assert (said["verb"], said["trained"]) == ("prepare", ["data", "embeddings", "ids", "content"])
    interactions = sum(map(len, world.histories.values()))
    assert said["data"] == {
        "users": 60, "items": 40, "interactions": interactions, "dropped_users": 1, "texts": 40
    }  # fmt: skip
    ids = SemanticIds.load(said["paths"]["ids"])
    assert ids.fingerprint == said["ids"]["fingerprint"]
    assert said["ids"]["collision_rate_after"] == 0 and said["ids"]["items"] == 40
    assert "preparing ids" in answer.err and "preparing ids" not in answer.out
    assert run("prepare", store=tmp_path).json["trained"] == []


def test_the_report_shows_what_prepare_stored(run: Run, run_bare: Run, tmp_path: Path) -> None:
    answer = run("prepare", "ids.levels=1")
    said = answer.json["ids"]
    assert all(len(said[name]) == 2 for name in ("next_share", "next_chance", "markov_recall", "gini", "perplexity"))
    shown = run_bare("ids", "report", answer.json["paths"]["ids"])
    assert shown.code == 0 and shown.out.strip() in answer.out
    for words in (
        "Markov HRecall@20",
        "× chance",
        "variance_left",
        "- 100 % of the items share a path: raise ids.codes",
    ):
        assert words in shown.out
    missing = run_bare("ids", "report", f"{tmp_path}/none.npz")
    assert missing.code == 2
    assert missing.err == f"promise ids: PATH must be a file of semantic IDs, found none at {tmp_path}/none.npz\n"


def test_nearest_free_adds_no_level(run: Run, tmp_path: Path) -> None:
    said = run("prepare", "ids.collisions=nearest_free", store=tmp_path).json["ids"]
    assert said["level_sizes"] == [8, 8, 8] and said["collision_rate_after"] == 0 and said["moved"] > 0
    assert said["distortion_after"] > said["distortion"][-1]
    balanced = run("prepare", "ids.balance=last_level", "ids.refits=1", store=tmp_path).json["ids"]
    assert balanced["collision_rate_before"] < said["collision_rate_before"]


def test_shared_paths_are_counted(run: Run, tmp_path: Path) -> None:
    found = run("prepare", "ids.collisions=shared", store=tmp_path)
    said = found.json["ids"]
    assert said["level_sizes"] == [8, 8, 8] and said["moved"] == 0 and said["largest_bucket"] > 1
    assert said["collision_rate_after"] == said["collision_rate_before"] > 0
    assert said["distortion_after"] == said["distortion"][-1]


def test_given_codes_become_ids_known_by_their_contents(run_bare: Run, world: Any, tmp_path: Path) -> None:
    index = {str(7 + 3 * item): [item % 8, item % 5] for item in range(40)}
    (tmp_path / "a.index.json").write_text(json.dumps(index))
    files = [word for word in world.words if word.startswith("data")]
    words = ("prepare", *files, f"store={tmp_path}", "ids=given")
    first = run_bare(*words, f"ids.codes_path={tmp_path}/a.index.json").json
    assert first["ids"]["collision_rate_before"] == 0 and first["ids"]["level_sizes"] == [8, 5]
    (tmp_path / "a.index.json").rename(tmp_path / "b.json")
    moved = run_bare(*words, f"ids.codes_path={tmp_path}/b.json").json
    assert "ids" not in moved["trained"] and moved["paths"] == first["paths"]
    assert "ids.codes_path=/none.json cannot be read" in run_bare(*words, "ids.codes_path=/none.json").error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ids.collisions=none"], "ids.collisions must be extra_level, nearest_free or shared, got none"),
        (["ids=rqvae", "ids.codes=64"], "ids.codes must be at most the number of items, 40, got 64: 4 fits"),
        (
            ["ids.collisions=nearest_free", "ids.levels=1"],
            "ids.collisions=nearest_free needs a path for every item, 40, got 8 from (8,) codes: raise ids.codes or "
            "ids.levels, or use ids.collisions=extra_level",
        ),
    ],
)
def test_ids_that_can_not_be(run: Run, tmp_path: Path, words: list[str], message: str) -> None:
    assert run("prepare", *words, store=tmp_path).error == message


def test_without_items_the_ids_come_from_co_occurrence(run: Run, tmp_path: Path) -> None:
    answer = run("prepare", "data.items=null", store=tmp_path)
    assert answer.json["data"]["texts"] == 0
    assert "embeddings.parts.text is left out" in answer.err
    alone = run("prepare", "data.items=null", "embeddings=co_occurrence", store=tmp_path).json
    assert alone["ids"]["codes_used"] == answer.json["ids"]["codes_used"]


def test_given_ids_without_a_quality_report(run: Run, tmp_path: Path) -> None:
    made = SemanticIds.load(run("prepare").json["paths"]["ids"])
    SemanticIds(made.codes, made.level_sizes, {}).save(tmp_path / "own.npz")
    said = run("prepare", f"ids.path={tmp_path / 'own.npz'}").json
    assert said["ids"] == {"fingerprint": made.fingerprint, "level_sizes": list(made.level_sizes)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "data.sequences: no such file: {path}"),
        (b"", "data.sequences: s.txt is empty"),
        (b"a 1 2 3\nb 1 x 3\n", "data.sequences: s.txt:2: items must be non-negative integers, got 'x'"),
        (
            b"a 7 10 13\nb 7 998 10 999\n",
            "data.sequences: s.txt:2: item 998 has no row in items.jsonl (items without a row: 2)",
        ),
    ],
)  # fmt: skip
def test_bad_data_is_one_line_and_leaves_nothing(run: Run, tmp_path: Path, content: bytes | None, message: str) -> None:
    path, store = tmp_path / "s.txt", tmp_path / "store"
    if content is not None:
        path.write_bytes(content)
    verb = ["evaluate"] if content else ["sweep", "sweep.name=x", "sweep.grids=[{search:plain}]"]
    assert run(*verb, f"data.sequences={path}", store=store).error == message.format(path=path)
    left = [file for file in store.rglob("*") if file.is_file() and not {"runs", ".locks"} & set(file.parts)]
    assert left == []


def test_a_table_of_any_ids_is_prepared_with_its_card(run: Run, run_bare: Run, world: Any, tmp_path: Path) -> None:
    """The world of the other tests as CSV: its numbers, prefixed, are the ids; the same histories come out."""
    events = [f"{user},i{item},{time}" for user, items in world.histories.items() for time, item in enumerate(items)]
    (tmp_path / "e.csv").write_text("\n".join(["user,item,time", *events, "short,i7,1", "short,i10,2"]))
    words = [*world.words[3:], "data=table", f"data.events={tmp_path / 'e.csv'}", f"store={tmp_path / 'store'}"]
    answer = run_bare("prepare", *words)
    said, numbers = answer.json, run("prepare").json
    assert said["data"] == {**numbers["data"], "texts": 0} and said["card"]["events"] == said["data"]["interactions"]
    assert [step["users"] for step in said["card"]["steps"]] == [61, 60]
    assert "users with >= 3, items with >= 1 events" in answer.out and "events of a user" in answer.out
    assert "events: data.user=user data.item=item data.time=time" in answer.err
    (tmp_path / "deny.txt").write_text("\n".join(f"i{item}" for item in range(7, 100)))
    rest = [*words, "search=popularity", "split=test", f"evaluation.deny={tmp_path / 'deny.txt'}"]
    message = "evaluation.deny names 62 of 93 items that the catalogue does not have, first i8"
    assert run_bare("evaluate", *rest).error == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=amazon_beauty"], "data.root must be given"),
        (["data=amazon_beauty", "data.root=nowhere"], "data.root: no such folder: nowhere"),
    ],
)
def test_data_that_is_not_named(run_bare: Run, tmp_path: Path, words: list[str], message: str) -> None:
    assert run_bare("prepare", *words, "logger=csv", f"store={tmp_path}").error == message
