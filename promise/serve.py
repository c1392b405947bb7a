"""`promise serve`: a model folder answers over HTTP; requests that wait are searched for together."""

import logging
import signal
import socket
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from promise.api import Recommender
from promise.pipeline.config import plain
from promise.pipeline.verb import app
from promise.search.options import COUNT, NOT_NEGATIVE, TRUTH, integer, require
from promise.serving.answers import Answers, Batcher, Loaded

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> dict[str, Any]:
    """Load the model, open the port, and answer until a signal comes; SIGUSR1 loads what the folder is by then."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until there is a model to load anew
    options = plain(cfg)
    check(options)
    try:
        import uvicorn

        from promise.serving.service import Server, service
    except ImportError as error:
        raise ValueError(f"promise serve needs pip install -e '.[serve]': {error}") from None

    def load() -> Answers:
        folder = Path(str(cfg.model))
        folder = folder.resolve() if folder.is_dir() else folder  # a link may point elsewhere while it is read
        return Answers(Recommender.load(folder, cfg.remove_seen), options["search"])

    loaded = Loaded(load)
    batcher = Batcher(cfg.batch_users, cfg.deadline_ms / 1000, cfg.queue_users)
    with listening(str(cfg.host), cfg.port) as opened:
        signal.signal(signal.SIGUSR1, lambda *_: loaded.again())
        log.info("%s answers at http://%s:%d, see /docs", cfg.model, cfg.host, opened.getsockname()[1])
        config = uvicorn.Config(
            service(loaded, batcher, options),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=cfg.stop_seconds,
        )
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        Server(config).run(sockets=[opened])  # raises the signal that ended it anew
    return {"verb": "serve"}


def check(options: dict[str, Any]) -> None:
    """Raise ValueError for what can be told before anything is read."""
    for name in ("batch_users", "queue_users", "max_k", "max_history", "body_bytes", "stop_seconds"):
        require(name, options[name], COUNT)
    require("queue_users", options["queue_users"], integer(options["batch_users"]), ", fewer than batch_users")
    require("deadline_ms", options["deadline_ms"], NOT_NEGATIVE)
    require("remove_seen", options["remove_seen"], TRUTH)
    in_range = "an integer in [0, 65535]", lambda port: integer(0)[1](port) and port < 2**16
    require("port", options["port"], in_range)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; ValueError if the port is taken or the address is not this machine's."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        raise ValueError(f"host={host} port={port}: {reason}") from None


main = app(run, "serve")
