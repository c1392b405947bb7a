"""Who is still at work: a lock file per worker that the system lets go of when the worker dies, however it dies."""

import os
import socket
import uuid
from pathlib import Path

from filelock import FileLock, Timeout


class Worker:
    """This process as one of several on the same work.

    Args:
        folder: Folder of the lock files; workers that share it can tell each other's death.

    Attributes:
        name: Machine, process and a part that no other worker has.
        path: The lock file, held until `leave` or the end of the process.
    """

    def __init__(self, folder: Path) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.path = folder.resolve() / f"{self.name}.lock"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path)
        self._lock.acquire()

    def leave(self) -> None:
        """Let go of the lock."""
        self._lock.release()
        self.path.unlink(missing_ok=True)

    def is_dead(self, path: Path) -> bool:
        """Whether the worker of a lock file is gone; False where that can't be known.

        Args:
            path: Its `path`. One of another machine is looked for beside our own: they may share a file system.
        """
        if not path.name.startswith(f"{socket.gethostname()}-"):
            path = self.path.with_name(path.name)
            if not path.exists():
                return False  # another machine's folder: nothing is known of it
        if not path.exists():
            return True
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        lock.release()
        path.unlink(missing_ok=True)
        return True
