"""`promise push` and `promise pull`: a model arrives as it left, with a card; nothing else is overwritten or run."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest
import yaml

from promise.analysis.results import write_results
from promise.api import Recommender
from promise.pipeline import model_folder
from promise.pipeline.errors import is_check, own_words
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline

Run = Callable[..., Any]
FILES = {"README.md", "model.json", *model_folder.FILES}


@pytest.fixture
def share(model: Path, here: Path, call: Run) -> Callable[..., dict[str, Any]]:
    return lambda *words: call("push", f"model={model}", "to=./shared", "license=cc-by-4.0", *words)


@pytest.fixture
def fetch(here: Path, call: Run) -> Callable[..., dict[str, Any]]:
    return lambda *words: call("pull", "from=./shared", "out=model", *words)


def front(path: str = "shared/README.md") -> tuple[Any, str]:
    """The YAML in front of a card, and its text."""
    _, head, text = Path(path).read_text("utf-8").split("---\n", 2)
    return yaml.safe_load(head), text


def test_it_recommends_what_it_did(share: Any, fetch: Any, model: Path, here: Path, world: Any) -> None:
    histories = [history[:-1] for history in world.histories.values()]
    said = share()
    assert (said["rows"], said["paths"]) == (0, {"to": "./shared"})
    for _ in range(2):  # once more changes nothing
        assert fetch() == {"verb": "pull", "networks": said["networks"], "items": 40, "paths": {"model": "model"}}
    for folder in ("shared", "model"):
        assert {path.name for path in Path(folder).iterdir()} == FILES
        found = Recommender.load(folder).recommend(histories, 10)
        assert found == Recommender.load(model).recommend(histories, 10)
    assert {path.name for path in here.iterdir()} == {"shared", "model"}


@pytest.fixture(scope="module")
def evaluated(model: Path, config_of: Any) -> Any:
    """An evaluation of the tiny model."""
    cfg = config_of("split=test")
    chosen = {"data": "s3rec", "search": "guided", "generator": "tiny", "reward": "dot", "training": "joint"}
    return Point(Pipeline(cfg), cfg.search, chosen).result()[0]


def test_the_card(share: Any, evaluated: Any, model: Path, world: Any) -> None:
    row = evaluated.row
    assert share(f"rows={evaluated.path}", "dataset=me/tiny")["rows"] == 1
    head, text = front()
    assert (head["license"], head["library_name"], head["datasets"]) == ("cc-by-4.0", "promise-genrec", ["me/tiny"])
    (result,) = head["model-index"][0]["results"]
    assert result["dataset"] == {"type": "s3rec", "name": "s3rec", "config": "past items kept", "split": "test"}
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values == {name: round(row[name], 6) for name in ("recall@10", "ndcg@10")}
    assert f"{row['recall@10']:.4f} [{row['recall@10_low']:.4f}, {row['recall@10_high']:.4f}]" in text
    fingerprint = json.loads((model / "model.json").read_text())["origin"]["data"]
    for line in (f"| fingerprint | {fingerprint} |", "| users | 60 |", "| `generator` | `tiny` |"):
        assert line in text
    assert "promise train data=s3rec data.sequences=FILE" in text and str(world.folder) not in text + str(head)
    share()
    assert "model-index" not in front()[0] and "None were given." in front()[1]


def test_the_hub_reads_the_card(share: Any, fetch: Any, evaluated: Any) -> None:
    hub = pytest.importorskip("huggingface_hub")
    share(f"rows={evaluated.path}")
    card = hub.ModelCard.load("shared/README.md").data
    found = {each.metric_type: each.metric_value for each in card.eval_results}
    assert found == {name: round(evaluated.row[name], 6) for name in ("recall@10", "ndcg@10")}
    assert (card.license, card.datasets, card.library_name) == ("cc-by-4.0", ["s3rec"], "promise-genrec")
    with pytest.raises(ValueError, match=r"^from=so--me/thing: the Hub cannot be used: Cannot have -- or \.\."):
        fetch("from=so--me/thing")


def test_rows_are_those_of_these_networks(share: Any, evaluated: Any, here: Path) -> None:
    other = evaluated.row | {"networks": "sha256:0123"}
    (here / "other.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match=r"^rows=other.json: none of 1 rows is of the networks [0-9a-f]{16} of the"):
        share("rows=other.json")
    write_results([other, evaluated.row, evaluated.row | {"search": "popularity", "networks": None}], "results.csv")
    assert share("rows=results.csv")["rows"] == 1


def test_a_folder_of_an_earlier_version(share: Any, fetch: Any, model: Path, here: Path) -> None:
    described = json.loads((shutil.copytree(model, here / "old") / "model.json").read_text())
    for name in ("dataset", "overrides", "hash"):
        (described["origin"] if name != "hash" else described).pop(name)
    written(here / "old", described)
    share("model=old")
    assert "datasets" not in front()[0] and "| items | 40 |" in front()[1] and "promise train" not in front()[1]
    assert fetch()["items"] == 40


def written(folder: Path, described: dict[str, Any]) -> None:
    """Write a description with the hash that it has."""
    text = json.dumps(described | {"hash": model_folder.digest(described)})
    (folder / "model.json").write_text(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"_target_": "os.system"}, r"^from=\./shared runs os\.system, no part of promise: foreign_code=true lets it$"),
        ({"dropout": {"_target_": "promise.cli.os.system", "command": "x"}}, r"^promise\.cli\.os\.system cannot be "),
        ({"dropout": {"_target_": "promise.cli.Path"}}, r"not loaded: promise\.cli\.Path is neither a network nor"),
        ({"dropout": "${oc.create:{_target_:os.system}}"}, r"not loaded: its config\.generator\.dropout is to be"),
    ],
)
def test_code_of_others_is_not_run(share: Any, fetch: Any, here: Path, options: Any, message: str) -> None:
    share()
    described = json.loads(Path("shared/model.json").read_text())
    described["config"]["generator"] |= options
    del described["hash"]
    written(Path("shared"), described)
    with pytest.raises(ValueError, match=message):
        fetch()
    assert not Path("model").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["license=My own"], "license must be an identifier such as apache-2.0 or other, got My own"),
        (["private=perhaps"], "private must be true or false, got perhaps"),
        (["model=nowhere"], "model=nowhere is no folder"),
        (["to=full"], "to=full holds something else already: name a folder that is not there"),
        (["to=file"], "to=file holds something else already: name a folder that is not there"),
        (["rows=none.csv"], "rows: no such file: none.csv"),
        (["rows=file"], "rows: file is neither a results.csv nor a row of `promise evaluate`"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(share: Any, here: Path, words: list[str], message: str) -> None:
    (here / "full").mkdir()
    for name in ("full/note", "file"):
        Path(name).write_text("mine")
    with pytest.raises(ValueError) as raised:
        share(*words)
    assert is_check(raised.value) and own_words(raised.value) == message
    assert {path.name for path in here.rglob("*")} == {"full", "note", "file"}


def test_what_arrives_broken_is_refused(share: Any, fetch: Any, here: Path) -> None:
    share()
    (here / "model").mkdir()  # an empty folder may be filled
    Path("shared/weights.safetensors").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"^shared/weights.safetensors has changed since the model was written$"):
        fetch()
    Path("shared/ids.npz").unlink()
    with pytest.raises(ValueError, match=r"^shared/ids.npz is missing: the model is not whole$"):
        fetch()
    assert not [*(here / "model").iterdir()] and {path.name for path in here.iterdir()} == {"shared", "model"}


def test_what_must_be_given_is_named(run_bare: Run, here: Path) -> None:
    assert run_bare("pull").error == "from, out must be given"


class Hub:
    """The part of huggingface_hub that is used, over a folder, without a network."""

    errors = SimpleNamespace(HTTPError=OSError, HFValidationError=OSError)

    def __init__(self, folder: Path) -> None:
        self.folder, self.private = folder, True
        self.HfApi = lambda: self

    def create_repo(self, name: str, private: bool, exist_ok: bool) -> None:
        if name == "owner/down":
            raise OSError("no\n\n  network")
        if not self.folder.exists():
            self.folder.mkdir()
            self.private = private

    def model_info(self, name: str) -> SimpleNamespace:
        names = [SimpleNamespace(rfilename=path.name) for path in self.folder.iterdir()]
        return SimpleNamespace(private=self.private, siblings=names, sha="0")

    def CommitOperationAdd(self, name: str, content: Any) -> tuple[str, bytes]:
        return name, content.read_bytes() if isinstance(content, Path) else content

    def create_commit(self, name: str, operations: Any, commit_message: str, parent_commit: str) -> SimpleNamespace:
        for file, content in operations:
            (self.folder / file).write_bytes(content)
        return SimpleNamespace(commit_url=f"https://hub/{name}")

    def snapshot_download(self, name: str, allow_patterns: list[str]) -> str:
        assert {*allow_patterns} == FILES
        return str(self.folder)


def test_a_repository_of_the_hub(share: Any, fetch: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(here / "remote")
    monkeypatch.setitem(sys.modules, "huggingface_hub", cast(Any, hub))
    with pytest.raises(ValueError, match=r"^to=owner/down: the Hub cannot be used: no network$"):
        share("to=owner/down")
    assert share("to=owner/name")["paths"] == {"to": "https://hub/owner/name"}
    assert hub.private and {path.name for path in hub.folder.iterdir()} == FILES
    assert "promise pull from=owner/name out=model" in front("remote/README.md")[1]
    share("to=owner/name")
    assert fetch("from=owner/name")["items"] == 40 and {path.name for path in Path("model").iterdir()} == FILES
    with pytest.raises(ValueError, match=r"^to=owner/name is a private repository already: private=true agrees$"):
        share("to=owner/name", "private=false")
    hub.private = False
    with pytest.raises(ValueError, match=r"^to=owner/name is a public repository already: private=false agrees$"):
        share("to=owner/name")
    (hub.folder / "other.bin").write_text("x")
    with pytest.raises(ValueError, match=r"^to=owner/name holds something else already, such as other.bin: name"):
        share("to=owner/name", "private=false")
    (here / "owner").mkdir()
    share("to=owner/name")  # a folder, for one of its owner's name is here
    assert pl.read_parquet("owner/name/items.parquet").height == 40
    shutil.rmtree("owner")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"^from=owner/name is a repository .* needs pip install -e '.\[hub\]' \("):
        fetch("from=owner/name")
