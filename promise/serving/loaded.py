"""The model that answers now, and the thread that puts another one in its place."""

import gc
import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from promise.pipeline.errors import own_words
from promise.serving.answers import Answers

log = logging.getLogger(__name__)


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
