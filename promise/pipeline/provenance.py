"""Which code made a row: the commit of the checkout that promise runs from."""

import subprocess
from functools import cache
from pathlib import Path

import promise


@cache
def commit() -> str | None:
    """The checkout's commit as 12 digits, with `-changed` where files differ from it; None where there is none."""
    root = Path(promise.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        name = answer(root, "rev-parse", "--short=12", "HEAD")
        return name + ("-changed" if answer(root, "status", "--porcelain", "promise", "conf") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def answer(root: Path, *words: str) -> str:
    """The answer of git about a checkout.

    Raises:
        OSError: If there is no git.
        CalledProcessError: If it refuses.
    """
    return subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True).stdout.strip()
