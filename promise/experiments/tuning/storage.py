"""Where a study is kept: a journal file beside its results, or a database."""

import contextlib
import json
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

JOURNAL = "study.log"

#: Seconds that a database may take to answer a first call; drivers alone wait for minutes.
PATIENCE = 15

#: Keys of the study's and the trials' attributes.
IDENTITY = "promise:identity"


def open_storage(storage: str, folder: Path, where: str) -> "optuna.storages.BaseStorage":
    """The storage that a config names, ready for use.

    Args:
        storage: `journal` or a URL.
        folder: Folder of the journal; it exists.
        where: Name of the config's key, for errors.

    Raises:
        ValueError: If it cannot be opened.
    """
    import optuna
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        if storage == "journal":
            mend(folder / JOURNAL)
            return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
        quick = {"connect_args": {"connect_timeout": PATIENCE}} if re.match("postgresql|mysql", storage) else {}
        with muted_migrations():
            return RDBStorage(storage, engine_kwargs=quick)
    except Exception as error:  # every driver has its own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if isinstance(missing := error.__cause__, ModuleNotFoundError):
            reason = f"{missing} (extra [postgresql] has the driver of PostgreSQL)"
        raise ValueError(f"{where}={without_password(storage)} cannot be opened: {without_password(reason)}") from error


def load_study(
    storage: "optuna.storages.BaseStorage", name: str, directions: tuple[str, ...], identity: dict[str, Any], where: str
) -> "optuna.Study":
    """The study of a name, made when there is none; no other process may make it meanwhile.

    Args:
        storage: An open storage.
        name: Name of the study.
        directions: One for each objective.
        identity: What its trials share, by name; JSON-able.
        where: Name of the config, for errors.

    Raises:
        ValueError: If a study of this name searches something else.
    """
    import optuna

    study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)  # type: ignore[arg-type]
    identity = json.loads(json.dumps(identity))  # as a storage gives it back
    known = study.user_attrs.get(IDENTITY)
    if known is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(IDENTITY, identity)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(identity["objectives"])
        return study
    other = sorted(key for key in {*identity, *(known or {})} if identity.get(key) != (known or {}).get(key))
    if other:
        raise ValueError(
            f"{where}.name={name} is a study with other {', '.join(other)}: give this one another name, "
            "or the same dials as before"
        )
    return study


def mend(path: Path) -> None:
    """Cut off a last line that was being written when the power went: Optuna could read nothing after it."""
    from optuna.storages.journal import JournalFileSymlinkLock

    if not path.exists() or _is_whole(path):
        return
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        if not _is_whole(path):
            content = path.read_bytes()
            with path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def without_password(text: str) -> str:
    """A text with the password of every URL in it masked.

    >>> without_password("postgresql://me:secret@host/db")
    'postgresql://me:***@host/db'
    """
    return re.sub(r"(://[^:/@\s]*):[^@/\s]+@", r"\1:***@", text)


@contextlib.contextmanager
def muted_migrations() -> Iterator[None]:
    """Alembic tells of every table it looks at."""
    names = ("alembic", "alembic.runtime.migration")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
