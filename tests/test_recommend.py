"""`promise recommend`: what evaluate finds, for any histories; goes on when stopped; refuses before it writes."""

import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from promise import recommend as verb
from promise.pipeline import model_folder
from promise.pipeline.errors import is_check, own_words
from promise.search.guided import GuidedSearch

Run = Callable[..., Any]


@pytest.fixture
def recommend(model: Path, here: Path, call: Run) -> Callable[..., dict[str, Any]]:
    """Run the verb in an empty folder; rows -> histories.jsonl."""

    def ask(*words: str, rows: list[dict[str, Any]] | None = None) -> Any:
        if rows is not None:
            (here / "histories.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return call("recommend", f"model={model}", "histories=histories.jsonl", "out=out.parquet", *words)

    return ask


def lists(path: Path) -> dict[Any, list[Any]]:
    """User -> items of a file that the verb wrote; ranks are 1, 2, ..."""
    table = pl.read_parquet(path)
    grouped = table.group_by("user", maintain_order=True).agg("item", "rank")
    assert all(row["rank"] == list(range(1, 1 + len(row["rank"]))) for row in grouped.to_dicts())
    return dict(grouped.select("user", "item").rows())


@pytest.mark.parametrize("remove_seen", ["true", "false"])
def test_it_finds_what_evaluate_finds(run, run_bare, model, world, here, remove_seen):
    theirs = here / "theirs.parquet"
    run("evaluate", f"predictions={theirs}", "split=test", f"evaluation.remove_seen={remove_seen}")
    rows = [{"user": user, "items": items[:-1]} for user, items in world.histories.items()]
    (here / "h.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [f"model={model}", "histories=h.jsonl", "out=out.parquet", "k=20", "batch_size=7"]
    said = run_bare("recommend", *words, f"remove_seen={remove_seen}").json
    assert said["users"] == len(rows) and said["dropped_events"] == said["fallback_users"] == 0
    expected, found = pl.read_parquet(theirs), pl.read_parquet("out.parquet")
    assert lists(here / "out.parquet") == dict(expected.select("user", "items").rows())
    assert found["user"].unique(maintain_order=True).to_list() == expected["user"].to_list()
    assert found["score"].to_list() == pytest.approx(expected["scores"].explode().to_list(), abs=1e-5)
    assert not list(here.glob(".*"))


def test_processes_share_the_users(
    recommend: Any, world: Any, here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "promise")  # what the verb sets of it is undone afterwards
    rows = [{"user": user, "items": items[:-1]} for user, items in world.histories.items()]
    monkeypatch.setattr(verb, "PART", 2)
    recommend("batch_size=3", "out=alone.parquet", rows=rows)
    searched = []
    for rank in (1, 0):  # the first process is the last to be done
        monkeypatch.setattr(verb.Fabric, "launch", lambda fabric: None)
        monkeypatch.setattr(verb.Fabric, "global_rank", rank)
        monkeypatch.setattr(verb.Fabric, "is_global_zero", rank == 0)
        monkeypatch.setattr(verb.Fabric, "world_size", 2)
        monkeypatch.setattr(verb.Fabric, "all_reduce", lambda fabric, users, reduce_op: searched.append(users) or users)
        recommend("batch_size=3")
        assert (here / "out.parquet").exists() == (rank == 0)
    assert sum(searched) == len(rows) and abs(searched[0] - searched[1]) <= 6
    assert pl.read_parquet("alone.parquet").equals(pl.read_parquet("out.parquet"))
    assert not list(here.glob(".*"))


def test_answers_of_every_form_say_the_same(recommend: Any, here: Path) -> None:
    rows = [{"user": 3, "items": [7, 10]}, {"user": 12, "items": [16]}]
    recommend("k=3", "out=o.parquet", rows=rows)
    table = pl.read_parquet("o.parquet")
    assert table.schema == {"user": pl.Int64, "rank": pl.Int64, "item": pl.Int64, "score": pl.Float32}
    for name, read in {
        "o.csv": pl.read_csv,
        "o.tsv": lambda path: pl.read_csv(path, separator="\t"),
        "o.jsonl": pl.read_ndjson,
    }.items():
        assert recommend("k=3", f"out={name}")["paths"] == {"out": name}
        assert read(name).drop("score").equals(table.drop("score"))


def test_titles_stand_beside_the_items(run_bare: Run, world: Any, recommend: Any, here: Path) -> None:
    events = [(u, i, t) for u, items in world.histories.items() for t, i in enumerate(items)]
    pl.DataFrame(events, schema=["user", "item", "time"], orient="row").write_csv("ratings.csv")
    ids = sorted({item for _, item, _ in events})
    pl.DataFrame({"item": ids, "title": [f"thing {item}" for item in ids]}).write_csv("items.csv")
    words = ["data=table", "data.events=ratings.csv", "data.items=items.csv", *world.words[3:], "store=s"]
    model = run_bare("train", *words).json["paths"]["model"]
    for file in ("ratings.csv", "items.csv"):
        (here / file).unlink()
    recommend(f"model={model}", rows=[{"user": "new", "items": [7]}])
    found = pl.read_parquet("out.parquet")
    assert found["title"].to_list() == [f"thing {item}" for item in found["item"]] and len(found) == 10


def test_unknown_items_are_dropped_and_counted(recommend: Any, world: Any, here: Path) -> None:
    rows: list[dict[str, Any]] = [{"user": "a", "items": [7, 8, 10]}, {"user": "b", "items": [7, 10]}]
    said = recommend(rows=[*rows, {"user": "c", "items": ["x"]}, {"user": "d", "items": []}])
    found = lists(here / "out.parquet")
    assert (said["users"], said["dropped_events"], said["fallback_users"]) == (4, 2, 2) and found["a"] == found["b"]
    training = [item for items in world.histories.values() for item in items[:-2]]
    popular = sorted(set(training), key=lambda item: (-training.count(item), item))
    assert found["c"] == found["d"] == popular[:10]
    scores = pl.read_parquet("out.parquet").filter(user="c")["score"].to_list()
    assert scores == [training.count(item) for item in popular[:10]]
    Path("deny.txt").write_text(f"{popular[0]}\n")
    recommend("deny=deny.txt")
    assert lists(here / "out.parquet")["c"] == popular[1:11]
    Path("allow.txt").write_text(f"{popular[1]}\n{popular[0]}\n")
    recommend("allow=allow.txt", "remove_seen=false")
    assert {(*sorted(items),) for items in lists(here / "out.parquet").values()} == {(*sorted(popular[:2]),)}
    recommend("fallback=skip")
    assert [*lists(here / "out.parquet")] == ["a", "b"]
    with pytest.raises(ValueError, match=r"^fallback=error: 2 users have no item that the model knows, first 'c'$"):
        recommend("fallback=error", "out=no.csv")
    assert not Path("no.csv").exists()


def test_the_width_suits_k(recommend: Any, world: Any, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    recommend("k=30", rows=[{"user": user, "items": items} for user, items in world.histories.items()])
    assert "search.width=30 for k=30, the model's own is 20" in caplog.messages
    assert {len(items) for items in lists(here / "out.parquet").values()} == {30}
    recommend("k=5", "search.width=5", "search.candidates=5", "search.weight=0")
    plain = lists(here / "out.parquet")
    recommend("k=5", "search.width=40")
    assert plain != lists(here / "out.parquet")


def test_a_run_that_was_stopped_goes_on(recommend, world, here, monkeypatch):
    monkeypatch.setattr(verb, "PART", 2)
    recommend("batch_size=5", "out=whole.parquet", rows=[{"user": u, "items": i} for u, i in world.histories.items()])
    rank, calls = GuidedSearch.rank, []

    def failing(self: GuidedSearch, batch: Any, k: int) -> Any:
        calls.append(k)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return rank(self, batch, k)

    monkeypatch.setattr(GuidedSearch, "rank", failing)
    with pytest.raises(KeyboardInterrupt):
        recommend("batch_size=5")
    assert not Path("out.parquet").exists()
    parts = sorted(path.name for path in next(here.glob(".out*")).iterdir())
    assert parts == ["000000000000.parquet", "000000000010.parquet"]
    recommend("batch_size=5", "k=9", "out=other.parquet")  # another question has parts of its own
    calls.clear()
    calls.extend([0] * 10)
    assert recommend("batch_size=5")["users"] == 60
    assert len(calls) == 10 + 8 and not list(here.glob(".*"))
    assert pl.read_parquet("out.parquet").equals(pl.read_parquet("whole.parquet"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["k=0"], "k must be an integer >= 1, got 0"),
        (["k=30", "search.width=25"], "search.width must be >= k=30, got 25"),
        (["k=41"], "k must be at most 40, the items of the catalogue, got 41"),
        (["batch_size=0"], "batch_size must be an integer >= 1, got 0"),
        (["remove_seen=maybe"], "remove_seen must be true or false, got maybe"),
        (["fallback=none"], "fallback must be popularity, skip or error, got none"),
        (["out=top.xlsx"], "out must name a .parquet, .csv, .tsv, .jsonl file, got top.xlsx"),
        (["out=no/top.csv"], "out=no/top.csv: there is no folder no"),
        (["out=folder.csv"], "out=folder.csv is a folder"),
        (
            ["out=histories.jsonl"],
            "out=histories.jsonl is a file of histories=histories.jsonl, and would take its place",
        ),
        (["histories=no.csv"], "histories: no such file: no.csv"),
        (["histories=head.csv"], "histories: head.csv has no row with a user"),
        (["histories=p.pickle"], "histories: p.pickle is no text file (it holds NUL bytes)"),
        (["histories=text.txt"], "histories: text.txt is no table"),
        (["histories=nested.jsonl"], "histories: error deserializing JSON"),
        (["histories=other.csv"], "data.user must be one of the columns a, b, got none, and no name is a usual one"),
        (["data.item=thing"], "data.item must be one of the columns user, items, got thing"),
        (["model=nowhere"], "model=nowhere is no folder"),
        (["model=p.pickle"], "model=p.pickle is a file"),
        (["deny=deny.csv"], "deny must name a .txt file, got deny.csv"),
        (["deny=deny.txt"], "deny names 1 of 1 items that the catalogue does not have, first 8"),
        (["search.weight=2"], "search.weight must be a number in [0, 1], got 2"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(recommend: Any, here: Path, words: list[str], message: str) -> None:
    files = {"head.csv": "user,item\n", "other.csv": "a,b\n1,2\n", "text.txt": "some words\n"}
    files |= {"nested.jsonl": '{"user": 1, "items": [[1], 2]}\n', "deny.txt": "8\n"}
    for name, text in files.items():
        Path(name).write_text(text)
    Path("p.pickle").write_bytes(pickle.dumps({"user": [1] * 300}))
    Path("folder.csv").mkdir()
    before = {*here.iterdir(), here / "histories.jsonl"}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as raised:
        recommend(*words, rows=[{"user": "a", "items": [7]}])
    assert is_check(raised.value) and "\n" not in own_words(raised.value)
    assert {*here.iterdir()} == before


def test_what_must_be_given_is_named(run_bare: Run, here: Path) -> None:
    assert run_bare("recommend").error == "histories, model, out must be given"
    assert run_bare("recommend", "widht=5").error == "widht: unknown; did you mean search.width?"
    assert "a row per user and rank" in run_bare("recommend", "--help").out


class Bomb:
    """A pickle that writes a file when it is loaded."""

    def __reduce__(self) -> Any:
        return Path.write_text, (Path("exploded"), "")


def vouch(folder: Path, name: str, change: Callable[[Any], Any] = lambda described: None) -> None:
    """Write a file's hash into the description of a model, after a change of it."""
    described = json.loads((folder / "model.json").read_text())
    described["files"][name] = model_folder.file_fingerprint(folder / name)
    del described["hash"]
    change(described)
    (folder / "model.json").write_text(json.dumps(described | {"hash": model_folder.digest(described)}))


@pytest.mark.parametrize("trusted", [False, True], ids=["as it is", "with its hash in the description"])
@pytest.mark.parametrize(
    "name", ["model.json", "weights.safetensors", "ids.npz", "tables.safetensors", "items.parquet"]
)
def test_no_file_of_a_model_is_unpickled(recommend: Any, model: Path, here: Path, name: str, trusted: bool) -> None:
    folder = shutil.copytree(model, here / "m")
    (folder / name).write_bytes(pickle.dumps(Bomb()))
    if trusted and name != "model.json":
        vouch(folder, name)
    with pytest.raises(ValueError, match=r"\bm\b") as raised:
        recommend("model=m", rows=[{"user": "a", "items": [7]}])
    assert is_check(raised.value) and not Path("exploded").exists() and not Path("out.parquet").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda described: described["search"].update(_target_="os.system"),
        lambda described: described["config"]["generator"].update(_target_="subprocess.Popen", args="touch exploded"),
        lambda described: described["config"]["reward"].update(dim={"_target_": "os.system", "command": "x"}),
        lambda described: described["config"]["generator"].update(dropout="${oc.env:HOME}"),
    ],
)
def test_a_model_runs_networks_and_rankers_alone(recommend: Any, model: Path, here: Path, change: Any) -> None:
    vouch(shutil.copytree(model, here / "m"), "items.parquet", change)
    with pytest.raises(ValueError, match=r"^m is not loaded: [^\n]+$") as raised:
        recommend("model=m", rows=[{"user": "a", "items": [7]}])
    assert is_check(raised.value) and not Path("exploded").exists()


def test_a_model_without_counts_is_told_so(recommend: Any, model: Path, here: Path) -> None:
    folder = shutil.copytree(model, here / "m")
    items = pl.read_parquet(folder / "items.parquet")
    items.drop("count").write_parquet(folder / "items.parquet")
    vouch(folder, "items.parquet")
    with pytest.raises(ValueError, match=r"^fallback=popularity: m holds no counts of items: use fallback=skip$"):
        recommend("model=m", rows=[{"user": "a", "items": ["x"]}])
    assert recommend("model=m", rows=[{"user": "a", "items": [7]}])["users"] == 1
