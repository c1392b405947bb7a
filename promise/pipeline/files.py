"""Files: written whole or not at all, in a place that can be written, known by their contents."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a file to write, which becomes `path` at once when it is done, and is gone after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield part
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def require_writable(name: str, path: str | Path, folder: str | Path) -> None:
    """Raise ValueError unless the folder of the option `name=path` can be written, or made; nothing is made here."""
    nearest = next(each for each in (Path(folder).absolute(), *Path(folder).absolute().parents) if each.exists())
    try:
        TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise ValueError(f"{name}={path} cannot be written: {error.strerror}") from None


def file_fingerprint(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file's contents."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
