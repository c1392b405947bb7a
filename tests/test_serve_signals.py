"""`promise serve` and signals: another model takes its place and loses nothing; the end answers what was taken."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from promise.api import Recommender
from promise.serving.answers import Answers, Batcher, Loaded

pytest.importorskip("fastapi")
testclient = pytest.importorskip("starlette.testclient")

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def grown(model: Path, call: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model with item 1000."""
    folder = tmp_path_factory.mktemp("grown")
    (folder / "items.csv").write_text("id,text\n1000,kind1 word2\n")
    call("append", f"model={model}", f"data.items={folder / 'items.csv'}", f"out={folder / 'model'}")
    return folder / "model"


def test_another_model_takes_its_place_and_loses_nothing(model: Path, grown: Path, caplog: Any) -> None:
    from promise.serving.service import service

    folders = [model, Path("nowhere"), grown]
    loaded = Loaded(lambda: Answers(Recommender.load(folders.pop(0)), {}))
    before, batcher = loaded.answers, Batcher(5, 60, 1024)
    options = {"batch_users": 8, "max_k": 60, "max_history": 20, "body_bytes": 3000}
    with (
        ThreadPoolExecutor(2) as pool,
        testclient.TestClient(service(loaded, batcher, options)) as client,
        caplog.at_level("INFO", "promise"),
    ):
        body = {"histories": [[7], [1000, 10]], "k": 40}
        waits = pool.submit(client.post, "/recommend", json=body)
        until(lambda: batcher.waiting_users == 2)
        loaded.again()
        loaded.again()
        until(lambda: loaded.answers is not before)
        assert [record.message for record in caplog.records] == [
            "no other model: model=nowhere is no folder; the one before goes on answering",
            f"another model answers: {loaded.answers.networks}, 41 items",
        ]
        assert client.get("/health").json() == {"status": "ok", "items": 41, "networks": loaded.answers.networks}
        after = client.post("/recommend", json={"histories": [[7], [1000, 10], [1000]], "k": 41}).json()
        first = waits.result().json()
    assert items(first) == Recommender.load(model).recommend([[7], [10]], 40)
    assert items(after) == Recommender.load(grown).recommend([[7], [1000, 10], [1000]], 41)
    assert (first["unknown_items"], after["unknown_items"]) == (1, 0)


def items(said: Any) -> list[list[Any]]:
    return [[each["item"] for each in row] for row in said["recommendations"]]


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("signals", "options", "status", "lines"),
    [
        ([signal.SIGTERM], ["deadline_ms=3000"], 200, [r"stopped by SIGTERM"]),
        ([signal.SIGTERM], ["deadline_ms=60000", "stop_seconds=1"], 503, [r"Cancel 8 .*", r"stopped by SIGTERM"]),
        ([signal.SIGINT, signal.SIGINT], ["deadline_ms=60000", "stop_seconds=60"], None, [r"stopped by SIGINT"]),
    ],
    ids=["answered in time", "no time left", "at once"],
)
def test_a_signal_ends_it_with_one_line(
    model: Path, grown: Path, tmp_path: Path, signals: Any, options: Any, status: int | None, lines: list[str]
) -> None:
    current, words = tmp_path / "current", ["serve", "model=current", "port=0", *options]
    current.symlink_to(model)
    with (
        subprocess.Popen(
            [sys.executable, "-m", "promise", *words], cwd=tmp_path, stderr=PIPE, stdout=PIPE, text=True
        ) as server,
        ExitStack() as failing,
    ):
        failing.callback(server.kill)  # does nothing to one that has ended
        assert server.stderr and server.stdout
        address = next(word for word in server.stderr.readline().split() if word.startswith("http")).rstrip(",")
        port = int(address.rpartition(":")[2])
        current.unlink()
        current.symlink_to(grown)
        server.send_signal(signal.SIGUSR1)
        assert server.stderr.readline().startswith("another model answers: ")

        def ask() -> int | None:
            body = json.dumps({"histories": [[1000, 7]], "k": 2}).encode()
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(f"{address}/recommend", body, {"Content-Type": "application/json"})
                ) as answer:
                    assert json.load(answer)["unknown_items"] == 0
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                assert json.load(error)["error"].startswith("the server stops")
                return error.code
            except OSError:  # the connection was closed
                return None

        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(ask) for _ in range(8)]
            until(lambda: b"\npromise_waiting_users 8\n" in fetched(f"{address}/metrics"))
            for number in signals:
                server.send_signal(number)
                until(lambda: not listens(port))
            assert {each.result() for each in asked} == {status}
        assert server.stdout.read() == ""
        said = server.stderr.read().splitlines()
        assert len(said) == len(lines) and all(map(re.fullmatch, lines, said)), said
    assert server.returncode == 128 + signals[0]
