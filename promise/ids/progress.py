"""progress: a bar on stderr for what takes long, where stderr is a terminal."""

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def progress(steps: Sequence[T], description: str) -> Iterable[T]:
    """The steps one by one, with a bar that says how many are done and how long the others will take."""
    return track(steps, description, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
