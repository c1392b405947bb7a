"""What `promise serve` finds: answers of a model that may change, many requests in one search by one thread."""

import gc
import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from functools import lru_cache
from itertools import islice
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Any, NamedTuple

import numpy as np

from promise.api import Recommender
from promise.pipeline.errors import own_words
from promise.search.protocols import Ranker

log = logging.getLogger(__name__)

#: Rankers that are kept, one for each k and lists that were asked for of late.
KEPT = 16


class Refused(Exception):
    """A request that is not answered: its HTTP status, and why, in one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Question(NamedTuple):
    """What is asked of a history: the k best items, or what becomes of one `item`; equal ones are answered together."""

    k: int
    allow: tuple[Hashable, ...] | None = None
    deny: tuple[Hashable, ...] | None = None
    item: Hashable | None = None


class Answers:
    """A model's answers to questions of any users.

    Args:
        recommender: The model.
        search: width, candidates and weight; None = the model's own.

    Attributes:
        known: The model's item id by how it is written, so that 17 and "17" are one.
        networks: Fingerprint of the model.

    Raises:
        ValueError: If an option of the search is wrong.
    """

    def __init__(self, recommender: Recommender, search: dict[str, Any]) -> None:
        self.recommender, self.search = recommender, search
        self.known = {str(item): item for item in recommender.ids}
        titles = recommender.model.items["title"]
        self.titles = titles.to_list() if titles.count() else None
        self.networks = recommender.model.fingerprint
        self.ranker = lru_cache(KEPT)(self._ranker)
        self(Question(1), [recommender.ids[:1]])  # the first search takes longer than others

    def _ranker(self, question: Question) -> Ranker:
        """The search for k items and lists."""
        lists = {name: items for name, items in (("allow", question.allow), ("deny", question.deny)) if items}
        numbers = {n: np.array([self.recommender.number(n, item) for item in items]) for n, items in lists.items()}
        return self.recommender.ranker(question.k, numbers, **self.search)

    def __call__(self, question: Question, histories: Sequence[Sequence[Hashable]]) -> list[list[dict[str, Any]]]:
        """For every history, of ids that the model knows, its items, best first, or the levels of one item.

        Raises:
            ValueError: If the question is none that the model's search can answer.
        """
        if question.item is not None:
            return [self.recommender.explain(each, question.item, **self.search).to_dicts() for each in histories]
        found = self.ranker(question).rank(self.recommender.batch(histories, 0), question.k)
        rows = zip(found.items.tolist(), found.scores.tolist(), strict=True)
        return [
            [
                {"item": self.recommender.ids[item], "rank": rank, "score": score}
                | ({"title": self.titles[item]} if self.titles else {})
                for rank, (item, score) in enumerate(zip(*row, strict=True), 1)
                if item >= 0
            ]
            for row in rows
        ]


class Loaded:
    """Answers of a model that can be loaded anew while the one before goes on answering.

    Args:
        load: Loads the model.

    Attributes:
        answers: Those of the last model that could be loaded; whoever has them may go on asking them.
    """

    def __init__(self, load: Callable[[], Answers]) -> None:
        self.load, self.answers = load, load()
        self.asked: SimpleQueue[bool] = SimpleQueue()  # may be put into by a signal's handler
        self.thread = Thread(target=self._work, name="load", daemon=True)
        self.thread.start()

    def again(self) -> None:
        """Ask for the model to be loaded anew; returns at once."""
        self.asked.put(True)

    def close(self) -> None:
        """Load what was asked for, and nothing more."""
        self.asked.put(False)
        self.thread.join()

    def _work(self) -> None:
        while self.asked.get():
            gc.collect()  # models that answer no more refer to themselves
            try:
                self.answers = self.load()
            except Exception as error:
                log.warning("no other model: %s; the one before goes on answering", own_words(error))
            else:
                log.info("another model answers: %s, %d items", self.answers.networks, len(self.answers.known))


#: Answers one question for many histories.
Search = Callable[[Question, list[Sequence[Hashable]]], list[Any]]


class Waiting(NamedTuple):
    """A request in the queue, and when it came, in seconds."""

    search: Search
    question: Question
    histories: Sequence[Sequence[Hashable]]
    answer: Future[list[Any]]
    came: float


class Batcher:
    """One thread that searches for the users of all requests that wait.

    Args:
        users: Users at once, at most; the most of a request, too.
        seconds: Longest wait of a request for others.
        queue: Users that may wait.

    Attributes:
        searches: Searches so far.
    """

    def __init__(self, users: int, seconds: float, queue: int) -> None:
        self.users, self.seconds, self.queue = users, seconds, queue
        self.waiting: deque[Waiting] = deque()
        self.waiting_users = self.searches = 0
        self.changed, self.closed = Condition(), False
        self.thread = Thread(target=self._work, name="search", daemon=True)
        self.thread.start()

    def submit(self, search: Search, question: Question, histories: Sequence[Sequence[Hashable]]) -> Future[list[Any]]:
        """Put a request into the queue; those with one search and one question are answered together.

        Returns:
            What will hold its answers, one per history.

        Raises:
            Refused: If the queue is full or closed.
        """
        with self.changed:
            if self.closed or self.waiting_users + len(histories) > self.queue:
                raise Refused(429, f"{self.waiting_users} users wait, at most {self.queue} may: try again later")
            request = Waiting(search, question, histories, Future(), time.monotonic())
            self.waiting.append(request)
            self.waiting_users += len(histories)
            self.changed.notify()
        return request.answer

    def close(self) -> None:
        """Answer what waits, and take nothing more."""
        with self.changed:
            self.closed = True
            self.changed.notify()
        self.thread.join()

    def _batch(self) -> list[Waiting]:
        """The next requests, oldest first, once there are enough or the first has waited; none at the end."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.closed)
            if self.waiting:
                left = self.waiting[0].came + self.seconds - time.monotonic()
                self.changed.wait_for(lambda: self.waiting_users >= self.users or self.closed, left)
            batch: list[Waiting] = []
            users = 0
            while self.waiting and users + len(self.waiting[0].histories) <= self.users:
                batch.append(self.waiting.popleft())
                users += len(batch[-1].histories)
            self.waiting_users -= users
        return batch

    def _work(self) -> None:
        while batch := self._batch():
            groups: dict[tuple[Search, Question], list[Waiting]] = {}
            for request in batch:
                if request.answer.set_running_or_notify_cancel():
                    groups.setdefault((request.search, request.question), []).append(request)
            for (search, question), group in groups.items():
                self.searches += 1
                try:
                    found = iter(search(question, [each for request in group for each in request.histories]))
                    for request in group:
                        request.answer.set_result(list(islice(found, len(request.histories))))
                except Exception as error:
                    for request in group:
                        request.answer.set_exception(error)
