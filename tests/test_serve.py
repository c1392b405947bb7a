"""`promise serve` answers what the Recommender does, loses no request that it took, and refuses in one line."""

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

from promise import configs
from promise.api import Recommender
from promise.serving.answers import Answers, Batcher, Loaded, Question, Refused

pytest.importorskip("fastapi")
testclient = pytest.importorskip("starlette.testclient")

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def recommender(model: Path) -> Recommender:
    return Recommender.load(model, remove_seen=True)


@pytest.fixture(scope="module")
def client(recommender: Recommender) -> Iterator[Any]:
    from promise.serving.service import service

    options: dict[str, Any] = dict(yaml.safe_load((Path(configs.config_path()) / "serve.yaml").read_text()))
    options |= {"batch_users": 8, "max_k": 30, "max_history": 20, "body_bytes": 3000}
    loaded = Loaded(lambda: Answers(recommender, options["search"]))
    with testclient.TestClient(
        service(loaded, Batcher(8, 0.02, 1024), options), raise_server_exceptions=False
    ) as client:
        yield client


def items(rows: list[list[dict[str, Any]]]) -> list[list[Any]]:
    assert all([each["rank"] for each in row] == list(range(1, 1 + len(row))) for row in rows)
    assert all(row[i]["score"] >= row[i + 1]["score"] for row in rows for i in range(len(row) - 1))
    return [[each["item"] for each in row] for row in rows]


def test_it_answers_what_the_recommender_does(client: Any, recommender: Recommender, world: Any) -> None:
    histories = [history[:-1] for history in world.histories.values()][:8]
    for more in ({}, {"k": 25}, {"allow": recommender.ids[5:20]}, {"k": 3, "deny": recommender.ids[::2]}):
        said = client.post("/recommend", json={"histories": histories, **more}).json()
        assert items(said["recommendations"]) == recommender.recommend(histories, **more)
        written = [[str(item) for item in history] for history in histories]
        assert client.post("/recommend", json={"histories": written, **more}).json() == said
    said = client.post("/recommend", json={"histories": [["x", *histories[0], 8], [], ["y"]]}).json()
    assert items(said["recommendations"]) == [*recommender.recommend(histories[:1]), [], []]
    assert said["unknown_items"] == 3
    said = client.post("/explain", json={"history": ["x", *histories[0]], "item": str(histories[1][0])}).json()
    assert said == {"levels": recommender.explain(histories[0], histories[1][0]).to_dicts(), "unknown_items": 1}


def test_concurrent_requests_are_searched_together_and_not_mixed_up(client, recommender, world):
    histories = [history[:-1] for history in world.histories.values()] * 2
    expected = {k: recommender.recommend(histories, k) for k in (5, 10)}
    before = metric(client, "searches_total")

    def ask(user: int) -> bool:
        k = 5 if user % 2 else 10
        said = client.post("/recommend", json={"histories": [histories[user]], "k": k}).json()
        return items(said["recommendations"]) == [expected[k][user]]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(len(histories))))
    assert metric(client, "searches_total") - before < len(histories) / 2


def metric(client: Any, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"promise_{name} "))


def test_metrics_health_and_schema(client: Any, recommender: Recommender) -> None:
    assert client.get("/health").json() == {"status": "ok", "items": 40, "networks": recommender.model.fingerprint}
    assert {"/recommend", "/explain", "/health", "/metrics"} <= client.get("/openapi.json").json()["paths"].keys()
    before = metric(client, "users_total"), metric(client, "seconds_count")
    assert client.post("/recommend", json={"histories": [[7], [10]]}).status_code == 200
    assert (metric(client, "users_total"), metric(client, "seconds_count")) == (before[0] + 2, before[1] + 1)
    assert 'promise_seconds_bucket{le="+Inf"}' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("{", 400, "the body must be JSON"),
        ("[" * 2900, 400, "the body must be JSON"),
        ("[1" + "0" * 2900, 400, "the body must be JSON"),
        ("", 422, "the body: Field required"),
        ("[]", 422, "the body: Input should be"),
        ({"histories": []}, 422, "histories: List should have at least 1 item"),
        ({"histories": [[7]] * 9}, 422, "histories: List should have at most 8 items"),
        ({"histories": [[7] * 21]}, 422, "histories.0: List should have at most 20 items"),
        ({"histories": [[1.5]]}, 422, "histories.0.0: Input should be a valid integer"),
        ({"histories": [[[7]]]}, 422, "histories.0.0: Input should be a valid integer"),
        ({"histories": [[7]], "k": 0}, 422, "k: Input should be greater than or equal to 1"),
        ({"histories": [[7]], "k": 31}, 422, "k: Input should be less than or equal to 30"),
        ({"histories": [[7]], "n": 3}, 422, "n: Extra inputs are not permitted"),
        ({"histories": [[7]], "allow": []}, 422, "allow: List should have at least 1 item"),
        ({"histories": [[7]], "deny": ["\ud800"]}, 422, "deny names item '\\ud800', which the model does not know"),
        ({"histories": [[7]], "a\n b": 1}, 422, "a b: Extra inputs are not permitted"),
        ({"histories": [[7]], "\ud800": 1}, 422, "the body: Input should be a valid string"),
        ({"histories": [[7]], "deny": [7, "z"]}, 422, "deny names item 'z', which the model does not know"),
        ({"histories": [[7] * 20] * 8, "allow": ["7"] * 600}, 413, "the body must have at most 3000 bytes"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_bad_body_is_one_line(client: Any, body: Any, status: int, error: str, chunked: bool) -> None:
    text = (body if isinstance(body, str) else json.dumps(body)).encode()
    content = iter([text[:2], text[2:]]) if chunked else text
    said = client.post("/recommend", content=content, headers={"Content-Type": "application/json"})
    assert (said.status_code, list(said.json())) == (status, ["error"]), said.text
    assert said.json()["error"].startswith(error) and "\n" not in said.json()["error"]


def test_other_errors_are_json_too(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = client.post("/explain", json={"history": ["x"], "item": 7})
    assert said.json() == {"error": "history must hold at least one item that the model knows"}
    said = client.post("/recommend", content=b'{"histories": [["\xff"]]}', headers={"Content-Type": "application/json"})
    assert (said.status_code, said.json()) == (400, {"error": "the body must be JSON"})
    said = client.post("/recommend", content=b'{"histories": [[7]]}', headers={"Content-Type": "text/plain"})
    assert said.status_code == 415
    assert said.json() == {"error": "the request must have the header Content-Type: application/json"}
    assert client.get("/nowhere").json() == {"error": "Not Found"}
    assert client.get("/recommend").json() == {"error": "Method Not Allowed"}
    monkeypatch.setattr(Recommender, "explain", lambda *_, **__: 1 / 0)
    said = client.post("/explain", json={"history": [7], "item": 7})
    assert (said.status_code, said.json()) == (500, {"error": "internal error"})
    monkeypatch.setattr(Recommender, "explain", lambda *_, **__: (_ for _ in ()).throw(ValueError("it keeps no beams")))
    assert client.post("/explain", json={"history": [7], "item": 7}).json() == {"error": "it keeps no beams"}


def test_a_full_queue_refuses_and_loses_nothing() -> None:
    go, sizes = Event(), []

    def search(question: Question, histories: Any) -> list[Any]:
        go.wait()
        sizes.append(len(histories))
        return [(question.k, *history) for history in histories]

    batcher = Batcher(users=4, seconds=0, queue=6)
    taken = [(0, batcher.submit(search, Question(1), [["first"]]))]
    while batcher.waiting_users:
        time.sleep(0.001)
    taken += [(user, batcher.submit(search, Question(1 + user % 2), [[user], [-user]])) for user in (1, 2, 3)]
    with pytest.raises(Refused, match=r"^6 users wait, at most 6 may: try again later$") as raised:
        batcher.submit(search, Question(1), [["late"]])
    assert raised.value.status == 429
    go.set()
    batcher.close()
    assert taken[0][1].result() == [(1, "first")]
    assert all(got.result() == [(1 + user % 2, user), (1 + user % 2, -user)] for user, got in taken[1:])
    assert sizes == [1, 2, 2, 2]  # the first alone; two questions of four users; the rest
    with pytest.raises(Refused):
        batcher.submit(search, Question(1), [["closed"]])


def test_429_says_when_to_come_again(recommender: Recommender) -> None:
    from promise.serving.service import service

    loaded = Loaded(lambda: Answers(recommender, {}))
    options = {"batch_users": 8, "max_k": 10, "max_history": 20, "body_bytes": 3000}
    with testclient.TestClient(service(loaded, Batcher(8, 0, 1), options)) as client:
        said = client.post("/recommend", json={"histories": [[7], [10]]})
        assert (said.status_code, said.headers["Retry-After"]) == (429, "1")
        assert said.json() == {"error": "0 users wait, at most 1 may: try again later"}
        assert metric(client, "rejected_total") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=nowhere"], "model=nowhere is no folder"),
        (["batch_users=0"], "batch_users must be an integer >= 1, got 0"),
        (["queue_users=8"], "queue_users must be an integer >= 64, got 8, fewer than batch_users"),
        (["deadline_ms=-1"], "deadline_ms must be a number >= 0, got -1"),
        (["port=65536"], "port must be an integer in [0, 65535], got 65536"),
        (["search.weight=2"], "search.weight must be a number in [0, 1], got 2"),
        (["port=TAKEN"], "host=127.0.0.1 port=TAKEN: Address already in use"),
    ],
)
def test_bad_options_are_one_line_and_open_no_port(run_bare, model, words, message, here):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        usual = [] if words[0].startswith("model") else [f"model={model}"]
        said = run_bare("serve", *usual, *(word.replace("TAKEN", port) for word in words))
    assert said.error == message.replace("TAKEN", port)


def test_without_its_libraries_it_names_them(run_bare, model, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run_bare("serve", f"model={model}").error.startswith("promise serve needs pip install -e '.[serve]'")
