"""SIGTERM and SIGINT end a command with exit code 143 or 130 and one line, a training at the end of its step."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """A signal asked the command to end; `kept` is what was saved on the way. Only `handle_signals` catches it."""

    def __init__(self, number: int, kept: str = "") -> None:
        super().__init__(128 + number)
        self.number = number
        self.kept = kept


class _Pending:
    """The signal that waits for the end of a step, and whether signals wait at all."""

    waits = False
    number: int | None = None


def _handle(number: int, frame: FrameType | None) -> None:
    """End the command, or let the running step end first; a second signal does not wait."""
    if _Pending.waits and _Pending.number is None:
        _Pending.number = number
    else:
        _Pending.waits, _Pending.number = False, None
        raise Stopped(number)


@contextmanager
def handle_signals() -> Iterator[None]:
    """Around a command: SystemExit with code 143 after SIGTERM, with 130 after SIGINT, and one line on stderr."""
    before = {}
    if current_thread() is main_thread():  # no other may set handlers
        before = {number: signal.signal(number, _handle) for number in SIGNALS}
    try:
        yield
    except (Stopped, KeyboardInterrupt) as error:
        stopped = error if isinstance(error, Stopped) else Stopped(signal.SIGINT)
        kept = f": {stopped.kept}" if stopped.kept else ""
        print(f"stopped by {signal.Signals(stopped.number).name}{kept}", file=sys.stderr, flush=True)
        raise SystemExit(stopped.code) from None
    finally:
        _Pending.waits, _Pending.number = False, None
        for number, handler in before.items():
            signal.signal(number, handler)


def let_wait(waits: bool) -> None:
    """Let signals from now on wait until `pending` is asked, or act at once."""
    _Pending.waits = waits


def pending() -> int | None:
    """The signal that waits, which is then no longer waiting; None = there is none."""
    number, _Pending.number = _Pending.number, None
    return number
