"""Signals end a command with their exit code and one line, at once or when a step has ended."""

import os
import signal
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from promise.pipeline.signals import Stopped, handle_signals, let_wait, pending
from promise.pipeline.trainer import StopAtStep


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_what_runs(number: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as stop, handle_signals():
        os.kill(os.getpid(), number)
    assert stop.value.code == code and capsys.readouterr().err == f"stopped by {signal.Signals(number).name}\n"
    assert signal.getsignal(number) is before


def test_what_was_kept_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for error, said in ((Stopped(15, "all of it"), "SIGTERM: all of it"), (KeyboardInterrupt(), "SIGINT")):
        with pytest.raises(SystemExit), handle_signals():
            raise error
        assert capsys.readouterr().err == f"stopped by {said}\n"


def test_a_signal_waits_when_it_may_and_a_second_one_does_not() -> None:
    with pytest.raises(SystemExit) as stop, handle_signals():
        let_wait(True)
        os.kill(os.getpid(), signal.SIGINT)
        assert pending() == signal.SIGINT and pending() is None
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("it waited")
    assert stop.value.code == 143 and pending() is None


def test_other_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def command() -> None:
        with handle_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = Thread(target=command)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("error", [OSError("no space left"), RuntimeError("no such folder")])
def test_a_training_that_cannot_save_ends_all_the_same(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = SimpleNamespace(is_last_batch=False)
    trainer: Any = SimpleNamespace(
        world_size=1, fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
    )
    monkeypatch.setattr(trainer, "save_checkpoint", lambda path: (_ for _ in ()).throw(error), raising=False)
    monkeypatch.setattr("promise.pipeline.trainer.pending", lambda: 15)
    with pytest.raises(Stopped) as stop:
        StopAtStep(Path("last.ckpt")).on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    assert stop.value.kept == f"this epoch could not be saved: {error}" and stop.value.code == 143
