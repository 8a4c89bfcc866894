"""What files hold, read again when they change; a change that cannot be read leaves what was read before."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from services.chassis.errors import InvalidRequest
from services.chassis.process.settings import MIB

MAX_BYTES = MIB
SETTLE_S = 1.0

_log = logging.getLogger("facet.files")
FileState = tuple[int, int, int, int, int]
T = TypeVar("T")


class ReloadedFiles(Generic[T]):
    """Files that belong together, such as a certificate and its key, and may not be written at the same instant.

    Nothing polls: whoever needs the content asks, which costs a stat of each file. Follows symbolic links, which is how
    Kubernetes changes the files of a Secret.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        read: Callable[[], T],
        *,
        settle_s: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Reads them.

        Args:
            paths: The files.
            read: Makes of them what `current` answers, and raises InvalidRequest with messages that repeat no secret.
            settle_s: How long a file must have been left alone: one that is written in place, and could be understood
                half written, needs some time.
            clock: The time of day, seconds.

        Raises:
            InvalidRequest: They cannot be read.
        """
        self._paths = tuple(paths)
        self._read = read
        self._settle_s = settle_s
        self._clock = clock
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        self._seen = self._states()
        self._content = read()

    @classmethod
    def of_one(cls, path: Path, parse: Callable[[bytes, str], T]) -> ReloadedFiles[T]:
        """A small file that people write by hand.

        Args:
            path: The file, of at most MAX_BYTES.
            parse: Makes of its bytes what `current` answers, and raises InvalidRequest with messages that begin with
                the name it is given and repeat no secret.

        Raises:
            InvalidRequest: It cannot be read, or parsed.
        """
        return cls([path], lambda: parse(_content_of(path), str(path)), settle_s=SETTLE_S)

    def current(self) -> T:
        """What they hold now; the same object as long as they do not change."""
        with self._lock:
            states = self._states()  # before they are read: a change in between is seen the next time
            if states != self._seen and self._settled(states):
                self._seen = states
                self._reload()
            return self._content

    def _settled(self, states: Sequence[FileState | None]) -> bool:
        """Whether nobody is writing; of a change in the future, which is one by another clock, nothing is known."""
        now_s = self._clock()
        return all(state is None or abs(now_s - state[-1] / 1e9) >= self._settle_s for state in states)

    def _reload(self) -> None:
        try:
            self._content = self._read()
        except InvalidRequest as error:
            _log.error("files not reloaded", extra={"fields": {"why": str(error)}})
        except Exception:  # noqa: BLE001  (whatever it is: what was read before is served on)
            _log.exception("files not reloaded", extra={"fields": {"files": [str(path) for path in self._paths]}})
        else:
            _log.info("files reloaded", extra={"fields": {"files": [str(path) for path in self._paths]}})

    def _states(self) -> tuple[FileState | None, ...]:
        return tuple(_state_of(path) for path in self._paths)


def _state_of(path: Path) -> FileState | None:
    """What changes with every write and every swap; None where there is no file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size, state.st_ctime_ns


def _content_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise InvalidRequest(f"{path} has more than {MAX_BYTES} bytes")
    return content
