"""Errors of a command: those of its user end it with one line and exit code 2, faults keep their traceback."""

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.errors import HydraException, InstantiationException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

import promise
from promise import configs

#: Exit code of bad input, whether Hydra or we find it.
BAD_INPUT = 2


@contextmanager
def ending_checks() -> Iterator[None]:
    """End the process with one line and code 2 where a check fails, unless HYDRA_FULL_ERROR=1 asks for all of it."""
    try:
        yield
    except Exception as error:
        if not is_check(error) or ("HYDRA_FULL_ERROR" in os.environ and "PROMISE_LINES" not in os.environ):
            raise
        print(f"error: {own_words(error)}", file=sys.stderr)
        raise SystemExit(BAD_INPUT) from None


@contextmanager
def hydra_raises() -> Iterator[None]:
    """Let Hydra raise its errors, as HYDRA_FULL_ERROR=1 does; PROMISE_LINES says that the user did not ask for it."""
    if "HYDRA_FULL_ERROR" in os.environ:
        yield
        return
    ours = {"HYDRA_FULL_ERROR": "1", "PROMISE_LINES": "1"}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def own_words(error: BaseException) -> str:
    """The message of the check itself, on one line."""
    error = unwrapped(error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return told(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def is_check(error: BaseException) -> bool:
    """Whether an error is the user's and no fault of ours.

    Hydra's are; those of the system about a file; a ValueError of our own lines; a class or library that is missing.
    """
    inner = unwrapped(error)
    if isinstance(inner, OSError):
        return inner.filename is not None
    frames = traceback.extract_tb(inner.__traceback__)
    file = Path(frames[-1].filename)
    raised_in = {each.__name__ for each in (promise, hydra) if file.is_relative_to(Path(str(each.__file__)).parent)}
    return (
        isinstance(inner, HydraException | OmegaConfBaseException)
        or (isinstance(inner, ValueError) and "promise" in raised_in)
        or (isinstance(inner, ImportError) and (inner is not error or "hydra" in raised_in))
    )


def unwrapped(error: BaseException) -> BaseException:
    """The error of a constructor without those of Hydra around it; a `_target_` that is not there stays wrapped."""
    while isinstance(error, InstantiationException) and not str(error).startswith("Error locating"):
        if error.__cause__ is None:
            break
        error = error.__cause__
    return error


def told(error: BaseException) -> str:
    """The error of Hydra or OmegaConf in one line: its first paragraph, the first line of its cause, and the key."""
    if isinstance(error, OverrideParseException) and "=" in error.override:
        name, _, value = error.override.partition("=")
        quoted = os.path.expanduser(value).replace("'", "\\'")  # within quotes ~ would be a folder of that name
        return (
            f"{error.override} cannot be read: if it is meant so, type it in quotes of its own: \"{name}='{quoted}'\""
        )
    root = configs.root_config(os.environ.get("PROMISE_VERB", ""))
    usual = configs.defaults(configs.root() / "conf" / f"{root}.yaml")  # none where a verb has no groups
    if isinstance(error, OverrideParseException):
        names = [name for name, options in configs.groups().items() if error.override in options]
        typed = {name: name for name in usual} | ({"sweeps": "+sweeps"} if usual else {})
        hint = next((f", such as {typed[name]}={error.override}" for name in names if name in typed), "")
        return f"{error.override} cannot be read: what stands behind a verb is KEY=VALUE{hint}"
    again = re.match(r"Multiple values for ([\w@/]+)\.", str(error))
    if again and again[1] in usual and any(word.startswith(f"+{again[1]}=") for word in sys.argv):
        return f"+{again[1]}: leave the + out, it is there already"
    said = [" ".join(re.split(r"\nSee |\n\n", str(error).strip())[0].split())]
    said += str(error.__cause__ or "").strip().splitlines()[:1]
    key = getattr(error, "full_key", None) or getattr(error.__cause__, "full_key", None)
    if key and not any(key in line for line in said):
        said.insert(0, f"{key}:")
    line = " ".join(filter(None, said)).replace(", set env var HYDRA_FULL_ERROR=1 to see chained exception", "")
    return line or repr(error)
