"""Artifacts appear whole or not at all, are built once, and say so when they are damaged."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promise.pipeline.files import require_writable, written_whole
from promise.pipeline.store import Artifact, Store, process_rank

CONFIG = {"levels": 3, "codes": [4, 8]}
INPUTS = {"embeddings": "abc"}


def write_ids(folder: Path) -> dict[str, Any]:
    (folder / "deep").mkdir()
    (folder / "codes.txt").write_text("1 2 3")
    (folder / "deep" / "more.txt").write_text("é")
    return {"fingerprint": "f00", "quality": {"moved": np.int64(2), "rate": float("nan")}}


def build(store: Store, **options: Any) -> Artifact:
    return store.get_or_build("ids", CONFIG, INPUTS, 1, **({"build": write_ids} | options))


def refuse(folder: Path) -> dict[str, Any]:
    raise AssertionError("must not be built")


def test_built_once_then_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "store")
    first = build(store)
    assert first.built and first.fingerprint == "f00"
    assert first.path == store.root / store.key("ids", CONFIG, INPUTS, 1)
    again = build(store, build=refuse)
    assert not again.built
    assert again.path == first.path
    assert json.dumps(again.manifest) == json.dumps(first.manifest)


def test_manifest_says_what_made_it(tmp_path: Path) -> None:
    manifest = build(Store(tmp_path)).manifest
    made = {"stage": "ids", "config": CONFIG, "inputs": INPUTS, "version": 1}
    assert {name: manifest[name] for name in made} == made
    assert manifest["quality"]["moved"] == 2
    assert manifest["files"].keys() == {"codes.txt", "deep/more.txt"}
    assert manifest["files"]["codes.txt"] == {"bytes": 5, "sha256": hashlib.sha256(b"1 2 3").hexdigest()}
    assert manifest["seconds"] >= 0 and manifest["created"].endswith("+00:00") and manifest["promise"]


def test_key_depends_on_everything_that_counts_and_on_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    key = store.key("ids", CONFIG, INPUTS, 1)
    assert key.startswith("ids-") and len(key) == len("ids-") + 16
    assert key == Store("elsewhere").key("ids", {"codes": (4.0, 8), "levels": 3.0}, dict(INPUTS), 1)
    others = [
        store.key("idx", CONFIG, INPUTS, 1),
        store.key("ids", CONFIG | {"levels": 4}, INPUTS, 1),
        store.key("ids", CONFIG | {"levels": "3"}, INPUTS, 1),
        store.key("ids", CONFIG | {"levels": True}, INPUTS, 1),
        store.key("ids", CONFIG | {"levels": 1}, INPUTS, 1),
        store.key("ids", CONFIG | {"codes": [8, 4]}, INPUTS, 1),
        store.key("ids", CONFIG | {"seed": None}, INPUTS, 1),
        store.key("ids", CONFIG, {"embeddings": "abd"}, 1),
        store.key("ids", CONFIG, INPUTS, 2),
    ]
    assert len({key, *others}) == len(others) + 1


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_dial_that_is_no_number(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValueError, match=r"ids\.codes must be a finite number, got (nan|inf)"):
        Store(tmp_path).key("ids", {"codes": [number]}, {}, 1)


@pytest.mark.parametrize("fingerprint", [None, "", 7])
def test_an_input_without_a_fingerprint_is_refused(tmp_path: Path, fingerprint: Any) -> None:
    words = f"^the fingerprint of the source must be a text that is not empty, got {fingerprint!r}$"
    with pytest.raises(ValueError, match=words):
        Store(tmp_path / "none").get_or_build("data", {}, {"source": fingerprint}, 1, refuse)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("said", "rank"),
    [
        ({}, 0),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "3"}, 3),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_JOB_NAME": "bash"}, 0),
        ({"SLURM_PROCID": "3"}, 0),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "LOCAL_RANK": "1"}, 1),
        ({"LOCAL_RANK": "1", "RANK": "5"}, 5),
    ],
)
def test_the_rank_is_the_one_that_lightning_takes(
    said: dict[str, str], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert process_rank() == rank


def test_refusing_to_build_names_stage_and_command(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    with pytest.raises(ValueError, match=r"build=never.*ids \(ids-[0-9a-f]{16}\).*`promise train` builds it"):
        build(store, allow_build=False, command="promise train")
    assert not store.root.exists()
    build(store)
    assert not build(store, build=refuse, allow_build=False).built


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "row.json"
    with written_whole(path) as part:
        part.write_text("1")
        assert not path.exists()
    with pytest.raises(RuntimeError), written_whole(path) as part:
        part.write_text("2")
        raise RuntimeError
    assert path.read_text() == "1" and [each.name for each in path.parent.iterdir()] == ["row.json"]
    require_writable("store", tmp_path, tmp_path / "new")
    with pytest.raises(ValueError, match=r"^store=x cannot be written: Not a directory$"):
        require_writable("store", "x", path / "below")


def test_bad_input_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        (folder / "half.txt").write_text("half")
        raise ValueError("data.sequences is empty")

    store = Store(tmp_path)
    with pytest.raises(ValueError, match="is empty"):
        build(store, build=fail)
    assert store.ls() == []
    assert build(store).built


def test_an_interrupted_build_is_resumed_even_after_a_bad_dial(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> dict[str, Any]:
        (folder / "epoch.txt").write_text("7")
        raise KeyboardInterrupt

    def bad_dial(folder: Path) -> dict[str, Any]:
        raise ValueError("trainer.devices must be >= 1, got 0")

    def resume(folder: Path) -> dict[str, Any]:
        return {"fingerprint": (folder / "epoch.txt").read_text()}

    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        build(store, build=interrupted)
    (row,) = store.ls()
    assert (row.complete, row.size_bytes, row.seconds, row.created) == (False, 1, None, None)
    assert store.find(row.key) is None
    assert store.verify()[row.key][0].startswith("unfinished")
    with pytest.raises(ValueError, match="devices"):
        build(store, build=bad_dial)
    (store.root / f".partial-{row.key}" / "checkpoints").mkdir()
    (store.root / f".partial-{row.key}" / "checkpoints" / "last.ckpt").touch()  # whole until the artifact is there
    built = build(store, build=resume)
    assert built.fingerprint == "7" and {path.name for path in built.path.iterdir()} == {"epoch.txt", "manifest.json"}
    assert store.verify() == {row.key: []}


@pytest.mark.parametrize("damage", ["{", '{"stage": "ids"}'])
def test_a_folder_without_a_readable_manifest_is_built_again(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    manifest = build(store).path / "manifest.json"
    manifest.write_text(damage)
    assert not store.ls()[0].complete
    assert build(store).built
    assert store.verify() == {manifest.parent.name: []}


def test_verify_finds_what_changed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = build(store)
    key = artifact.path.name
    assert store.verify() == {key: []}
    (artifact.path / "codes.txt").write_text("1 2 4")
    (artifact.path / "deep" / "more.txt").unlink()
    (artifact.path / "new.txt").write_text("")
    wrong = ["codes.txt has changed", "deep/more.txt is missing", "new.txt is not in its manifest"]
    assert store.verify()[key] == wrong
    renamed = artifact.path.rename(tmp_path / "ids-0123456789abcdef")
    assert store.verify()[renamed.name][0].startswith("its name is not the hash")


def test_ls_and_rm(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert Store(tmp_path / "none").ls() == []
    (tmp_path / "my-photos").mkdir()
    kept = store.get_or_build("embeddings", {}, {}, 1, build=write_ids)
    for version in (1, 2):
        store.get_or_build("ids", CONFIG, INPUTS, version, build=write_ids)
    assert [(row.key.split("-")[0], row.complete) for row in store.ls()] == [
        ("embeddings", True), ("ids", True), ("ids", True)
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"no artifact is named 'my-\*' in"):
        store.rm(["ids-*", "my-*"])
    assert len(store.ls()) == 3
    assert len(store.rm(["ids-*"])) == 2
    assert [row.key for row in store.ls()] == [kept.path.name]
    assert (tmp_path / "my-photos").is_dir()


def test_what_is_being_built_cannot_be_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def remove(folder: Path) -> dict[str, Any]:
        with pytest.raises(ValueError, match="is being built by another process"):
            Store(tmp_path).rm(["ids-*"])
        return write_ids(folder)

    assert build(store, build=remove).built


# ---------------------------------------------------------------------------------------------- processes

CHILD = """
import sys, time
from pathlib import Path
from promise.pipeline.store import Store

root, mark, pause = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
collective = "collective" in sys.argv

def build(folder):
    with open(root.parent / "calls.txt", "a") as file:
        file.write(mark)
    before = sorted(path.name for path in folder.iterdir())
    while collective and len((root.parent / "calls.txt").read_text()) < 2:
        time.sleep(0.01)
    if collective and mark != "0":
        return {"fingerprint": mark}
    (folder / "step.txt").write_text("1")
    time.sleep(pause)
    (folder / "done.txt").write_text("2")
    return {"fingerprint": mark, "before": before}

artifact = Store(root).get_or_build("train", {"dim": 8}, {}, 1, build, collective=collective)
print(artifact.fingerprint, artifact.built, ",".join(artifact.manifest["before"]))
"""


def child(root: Path, mark: str, pause: float, *words: str, **environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(root), mark, str(pause), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environ)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_killed_in_the_middle_then_resumed(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    key = store.key("train", {"dim": 8}, {}, 1)
    killed = child(store.root, "a", 60)
    wait_for(store.root / f".partial-{key}" / "step.txt")
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert store.find(key) is None and not (store.root / key).exists()
    out, _ = child(store.root, "b", 0).communicate(timeout=30)
    assert out.split() == ["b", "True", "step.txt"]
    assert store.verify() == {key: []}
    assert not (store.root / f".partial-{key}").exists()


def test_two_at_once_build_once(tmp_path: Path) -> None:
    both = [child(tmp_path / "store", mark, 0.3) for mark in "ab"]
    outs = [process.communicate(timeout=30)[0].split() for process in both]
    calls = (tmp_path / "calls.txt").read_text()
    assert len(calls) == 1
    assert {out[0] for out in outs} == {calls}
    assert sorted(out[1] for out in outs) == ["False", "True"]


def test_every_rank_takes_part_in_a_collective_build(tmp_path: Path) -> None:
    ranks = [child(tmp_path / "store", rank, 0, "collective", RANK=rank) for rank in "01"]
    outs = [process.communicate(timeout=30)[0].split() for process in ranks]
    assert [out[:2] for out in outs] == [["0", "True"], ["0", "False"]]
    assert sorted((tmp_path / "calls.txt").read_text()) == ["0", "1"]
