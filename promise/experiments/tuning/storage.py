"""Where a study is kept: a journal file beside its results, or a database."""

import contextlib
import json
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from promise.experiments.identity import flat
from promise.pipeline.config import without_passwords

JOURNAL = "study.log"

#: Seconds that a database may take to answer a first call; drivers alone wait for minutes.
PATIENCE = 15

#: Attribute of a study: everything that its objective depends on beside what it searches.
IDENTITY = "promise:identity"


def open_storage(storage: str, folder: Path, where: str) -> BaseStorage:
    """The storage that a config names, ready for use.

    Args:
        storage: `journal` or a URL.
        folder: Folder of the journal; it exists.
        where: Name of the config's key, for errors.

    Raises:
        ValueError: If it cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        if storage == "journal":
            cut_torn_line(folder / JOURNAL)
            return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
        quick = {"connect_args": {"connect_timeout": PATIENCE}} if re.match("postgresql|mysql", storage) else {}
        with quiet_migrations():
            return RDBStorage(storage, engine_kwargs=quick)
    except Exception as error:  # every driver has its own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if isinstance(missing := error.__cause__, ModuleNotFoundError):
            reason = f"{missing} (pip install 'psycopg[binary]' brings the driver of PostgreSQL)"
        raise ValueError(without_passwords(f"{where}={storage} cannot be opened: {reason}")) from error


def load_study(
    storage: BaseStorage, name: str, directions: tuple[str, ...], identity: dict[str, Any], where: str
) -> optuna.Study:
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
    study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)  # type: ignore[arg-type]
    known = study.user_attrs.get(IDENTITY)
    if known is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(IDENTITY, identity)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(identity["objectives"])
        return study
    ours, theirs = flat(json.loads(json.dumps(identity))), flat(known or {})
    if other := [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]:
        told = ", ".join(f"{key}={theirs.get(key)} and not {ours.get(key)}" for key in other)
        raise ValueError(without_passwords(f"{where}.name={name} is a study with {told}: give this one another name"))
    return study


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


@contextlib.contextmanager
def quiet_migrations() -> Iterator[None]:
    """Keeps Alembic from telling of every table it looks at."""
    logger = logging.getLogger("alembic")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
