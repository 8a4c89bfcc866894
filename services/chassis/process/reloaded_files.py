"""What files hold, read anew when they change; a change that cannot be read leaves what was read before."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from services.chassis.errors import InvalidRequest

_log = logging.getLogger("facet.files")
FileState = tuple[int, int, int, int]
T = TypeVar("T")


class ReloadedFiles(Generic[T]):
    """Files that belong together, such as a certificate and its key, and may not be written at the same instant.

    Nothing polls: whoever needs the content asks, which costs a stat of each file. Follows symbolic links, which is how
    Kubernetes changes the files of a Secret.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        """Reads them.

        Args:
            paths: The files.
            read: Makes of them what `current` answers, and raises InvalidRequest with messages that repeat no secret.

        Raises:
            InvalidRequest: They cannot be read.
        """
        self._paths = tuple(paths)
        self._read = read
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        self._seen = self._states()
        self._content = read()

    def current(self) -> T:
        """What they hold now; the same object as long as they do not change."""
        with self._lock:
            states = self._states()  # before they are read: a change in between is seen the next time
            if states != self._seen:
                self._seen = states
                self._reload()
            return self._content

    def _reload(self) -> None:
        try:
            self._content = self._read()
        except InvalidRequest as error:
            _log.error("files not reloaded", extra={"fields": {"why": str(error)}})
        else:
            _log.info("files reloaded", extra={"fields": {"files": [str(path) for path in self._paths]}})

    def _states(self) -> tuple[FileState | None, ...]:
        return tuple(state_of(path) for path in self._paths)


def state_of(path: Path) -> FileState | None:
    """What changes with every write and every swap; None where there is no file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size
