"""Where a study is kept: a journal file beside its results, or a database."""

import logging
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from promise.pipeline.config import without_passwords

JOURNAL = "study.log"


def open_storage(storage: str, folder: Path, where: str) -> BaseStorage:
    """The storage that a config names, ready for use; Optuna's own tools open it as well.

    Args:
        storage: `journal` or a URL.
        folder: Folder of the journal; it exists.
        where: Name of the config, for errors.

    Raises:
        ValueError: If it cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every table that it looks at
    try:
        if storage == "journal":
            cut_torn_line(folder / JOURNAL)
            return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
        return RDBStorage(storage)
    except Exception as error:  # every driver has its own kinds
        reason = (str(error.__cause__ or error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(without_passwords(f"{where}.storage={storage} cannot be opened: {reason}")) from error


def cut_torn_line(path: Path) -> None:
    """Cut off a last line that was being written when the power went: Optuna could read nothing after it."""
    if not path.exists():
        return
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()
