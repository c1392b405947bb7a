"""SIGTERM and SIGINT end a command with exit code 143 or 130 and one line, a training at the end of its step."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """A signal asked the command to end; nothing but `handle_signals` catches it.

    Args:
        number: The signal.
        kept: What was saved on the way out, for the one line that is said; "" = nothing.
    """

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


def install() -> None:
    """Make both signals raise `Stopped` in the main thread; other threads and their signals stay as they are."""
    if current_thread() is main_thread():
        for number in SIGNALS:
            signal.signal(number, _handle)


@contextmanager
def handle_signals() -> Iterator[None]:
    """Around a command: SIGTERM ends it with exit code 143, SIGINT with 130, and one line on stderr.

    Raises:
        SystemExit: A signal came.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    install()
    try:
        yield
    except (Stopped, KeyboardInterrupt) as error:
        stopped = error if isinstance(error, Stopped) else Stopped(signal.SIGINT)
        kept = f": {stopped.kept}" if stopped.kept else ""
        print(f"stopped by {signal.Signals(stopped.number).name}{kept}", file=sys.stderr, flush=True)
        raise SystemExit(stopped.code) from None
    finally:
        _Pending.waits, _Pending.number = False, None
        if current_thread() is main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def wait_for_step(waits: bool) -> None:
    """Let signals from now on wait until `pending` is asked (True), or act at once, one that waits too (False).

    Raises:
        Stopped: One had been waiting.
    """
    _Pending.waits = waits
    if not waits and (number := pending()) is not None:
        raise Stopped(number)


def pending() -> int | None:
    """The signal that waits, which is then no longer waiting; None = there is none."""
    number, _Pending.number = _Pending.number, None
    return number
