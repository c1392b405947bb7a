"""The HTTP side of `promise serve`: what a request may be, errors in one line of JSON, counts, and how it ends."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from types import FrameType
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from promise.serving.answers import Answers, Batcher, Loaded, Question, Refused

#: Upper bounds of the latencies that are counted, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, float("inf"))


class Server(uvicorn.Server):
    """uvicorn's server; where a second SIGINT would cancel all that runs, and say so of each, it ends with one line."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            print(f"stopped by {signal.Signals(sig).name}", file=sys.stderr, flush=True)
            os._exit(128 + sig)  # a thread that searches would end in an abort
        super().handle_exit(sig, frame)


class Guard:
    """ASGI middleware: no body is read beyond its limit, and every request is counted and timed.

    Args:
        app: What answers.
        counts: Counted so far: statuses (int); of POSTs that were answered latencies ("le", bound) and the sum of
            "seconds".
        body_bytes: Most bytes of a body, whatever its Content-Length says.
    """

    def __init__(self, app: ASGIApp, counts: Counter[Any], body_bytes: int) -> None:
        self.app, self.counts, self.body_bytes = app, counts, body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, left, status = time.perf_counter(), self.body_bytes, 500

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"the body must have at most {self.body_bytes} bytes")
            return message

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, limited, noting)
        finally:
            self.counts[status] += 1
            if scope["method"] == "POST" and status == 200:
                seconds = time.perf_counter() - began
                self.counts["seconds"] += seconds  # type: ignore[assignment]
                for bound in BUCKETS:
                    self.counts["le", bound] += seconds <= bound


def service(loaded: Loaded, batcher: Batcher, options: dict[str, Any]) -> FastAPI:
    """The application.

    Args:
        loaded: The model, asked once a request: what began with one ends with it.
        batcher: What searches.
        options: Config of the verb: batch_users, max_k, max_history, body_bytes.
    """
    usual_k = min(10, options["max_k"])
    Item = StrictInt | StrictStr
    History = Annotated[list[Item], Field(max_length=options["max_history"], description="Item ids, oldest first")]

    class Users(BaseModel):
        model_config = ConfigDict(extra="forbid")
        histories: Annotated[list[History], Field(min_length=1, max_length=options["batch_users"])]
        k: Annotated[StrictInt, Field(ge=1, le=options["max_k"], description="Items per user")] = usual_k
        allow: Annotated[list[Item] | None, Field(min_length=1, description="Only these; null = all")] = None
        deny: Annotated[list[Item] | None, Field(description="None of these")] = None

    class OneItem(BaseModel):
        model_config = ConfigDict(extra="forbid")
        history: History
        item: Item

    counts: Counter[Any] = Counter()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(batcher.close)
        await asyncio.to_thread(loaded.close)

    application = FastAPI(title="promise", lifespan=lifespan)
    application.add_middleware(Guard, counts=counts, body_bytes=options["body_bytes"])

    def known(answers: Answers, name: str, items: Sequence[Hashable]) -> tuple[Hashable, ...]:
        """The model's ids of a list."""
        for item in items:
            if str(item) not in answers.known:
                raise Refused(422, f"{name} names item {item!r}, which the model does not know")
        return tuple(sorted({answers.known[str(item)] for item in items}))

    async def ask(answers: Answers, question: Question, histories: list[list[Hashable]]) -> list[Any]:
        try:
            found = await asyncio.wrap_future(batcher.submit(answers, question, histories))
        except ValueError as error:
            raise Refused(422, str(error)) from None
        except asyncio.CancelledError:
            raise Refused(503, "the server stops, and there was no time left for this request") from None
        counts["users"] += len(histories)
        return found

    @application.post("/recommend")
    async def recommend(users: Users) -> JSONResponse:
        """The k best items of every user, best first; none for a user without an item that the model knows."""
        answers = loaded.answers
        lists = {name: known(answers, name, items) for name in ("allow", "deny") if (items := getattr(users, name))}
        histories = [[answers.known[str(i)] for i in history if str(i) in answers.known] for history in users.histories]
        asked = [history for history in histories if history]
        found = iter(await ask(answers, Question(users.k, **lists), asked) if asked else ())
        unknown = sum(map(len, users.histories)) - sum(map(len, histories))
        rows = [next(found) if history else [] for history in histories]
        return JSONResponse({"recommendations": rows, "unknown_items": unknown})

    @application.post("/explain")
    async def explain(user: OneItem) -> JSONResponse:
        """What the networks say of an item, level by level, and where the search keeps or loses it."""
        answers = loaded.answers
        [item] = known(answers, "item", [user.item])
        history = [answers.known[str(i)] for i in user.history if str(i) in answers.known]
        if not history:
            raise Refused(422, "history must hold at least one item that the model knows")
        [levels] = await ask(answers, Question(1, item=item), [history])
        return JSONResponse({"levels": levels, "unknown_items": len(user.history) - len(history)})

    @application.get("/health")
    async def health() -> dict[str, Any]:
        """Whether the search is alive, and which networks answer, by the fingerprint in their model.json."""
        if not batcher.thread.is_alive():
            raise Refused(503, "the search has ended")
        answers = loaded.answers
        return {"status": "ok", "items": len(answers.known), "networks": answers.networks}

    @application.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        """Counts in the text form of Prometheus."""
        codes = sorted(status for status in counts if isinstance(status, int))
        bounds = [(f"{bound:g}".replace("inf", "+Inf"), counts["le", bound]) for bound in BUCKETS]
        return "\n".join(
            [
                "# TYPE promise_requests_total counter",
                *(f'promise_requests_total{{code="{status}"}} {counts[status]}' for status in codes),
                f"# TYPE promise_rejected_total counter\npromise_rejected_total {counts[429]}",
                f"# TYPE promise_users_total counter\npromise_users_total {counts['users']}",
                f"# TYPE promise_searches_total counter\npromise_searches_total {batcher.searches}",
                f"# TYPE promise_waiting_users gauge\npromise_waiting_users {batcher.waiting_users}",
                "# TYPE promise_seconds histogram",
                *(f'promise_seconds_bucket{{le="{bound}"}} {count}' for bound, count in bounds),
                f"promise_seconds_sum {counts['seconds']:.6f}\npromise_seconds_count {bounds[-1][1]}\n",
            ]
        )

    def said(status: int, message: str) -> JSONResponse:
        """An error in one line, though the names in it may be anything."""
        headers = {"Retry-After": "1"} if status == 429 else None
        return JSONResponse({"error": " ".join(message.split())}, status, headers)

    @application.exception_handler(RequestValidationError)
    async def wrong(_: Any, error: RequestValidationError) -> JSONResponse:
        """400 for what is no JSON, 415 for what does not say so, 422 for another form; the first fault is told."""
        fault = error.errors()[0]
        if isinstance(fault["input"], bytes):
            return said(415, "the request must have the header Content-Type: application/json")
        if fault["type"] == "json_invalid":
            return said(400, "the body must be JSON")
        place = ".".join(str(part) for part in fault["loc"][1:] if part not in ("int", "str"))
        return said(422, f"{place or 'the body'}: {fault['msg']}")

    @application.exception_handler(Refused)
    async def refused(_: Any, error: Refused) -> JSONResponse:
        return said(error.status, str(error))

    @application.exception_handler(AnyHTTPException)
    @application.exception_handler(Exception)
    async def other(_: Any, error: Exception) -> JSONResponse:
        if not isinstance(error, AnyHTTPException):
            return said(500, "internal error")
        unread = error.status_code == 400  # not UTF-8, or too deep to be read
        return said(error.status_code, "the body must be JSON" if unread else str(error.detail))

    return application
