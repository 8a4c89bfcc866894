"""A small file that is read again when it changes; a change that cannot be read leaves what was read before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from services.chassis.errors import InvalidRequest
from services.chassis.process.reloaded_files import state_of
from services.chassis.process.settings import MIB

MAX_BYTES = MIB
LOOK_EVERY_S = 1.0

_log = logging.getLogger("facet.identity")
T = TypeVar("T")


class WatchedFile(Generic[T]):
    """What a file holds now. Follows symbolic links, which is how Kubernetes changes the files of a Secret."""

    def __init__(self, path: Path, parse: Callable[[bytes, str], T]) -> None:
        """Reads it.

        Args:
            path: The file, of at most MAX_BYTES.
            parse: Makes of its bytes what `content` is, and raises InvalidRequest with messages that begin with the
                name it is given and repeat no secret.

        Raises:
            InvalidRequest: It cannot be read, or parsed.
        """
        self._path = path
        self._parse = parse
        self._settled = self._changing = state_of(path)
        self.content = self._read()

    async def watch(self) -> None:
        """Looks again and again until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Reads the file again if it has changed, once two looks in a row see the same: it is written by then."""
        state = state_of(self._path)
        if state == self._settled:
            return
        if state != self._changing:
            self._changing = state
            return
        self._settled = state
        try:
            self.content = self._read()
        except InvalidRequest as error:
            _log.error("file not reloaded", extra={"fields": {"why": str(error)}})
        except Exception:  # noqa: BLE001  (whatever it is: if nobody looked any more, revoked keys would stay)
            _log.exception("file not reloaded", extra={"fields": {"file": str(self._path)}})
        else:
            _log.info("file reloaded", extra={"fields": {"file": str(self._path)}})

    def _read(self) -> T:
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise InvalidRequest(f"{self._path} cannot be read: {error.strerror}") from error
        if len(content) > MAX_BYTES:
            raise InvalidRequest(f"{self._path} has more than {MAX_BYTES} bytes")
        return self._parse(content, str(self._path))
