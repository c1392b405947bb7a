"""How the HTTP server ends: a first signal lets it answer what it took, a second SIGINT does not wait."""

import os
import signal
import sys
from types import FrameType

import uvicorn


class Server(uvicorn.Server):
    """uvicorn's server; where it would cancel all that runs, and say so of each, it ends the process with one line."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            print(f"stopped by {signal.Signals(sig).name}", file=sys.stderr, flush=True)
            os._exit(128 + sig)  # a thread that searches would end in an abort
        super().handle_exit(sig, frame)
