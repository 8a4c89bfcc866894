"""What a process says of its state to the one that started it: lines of JSON through a pipe that it inherits.

`FACET_ANNOUNCE_FD` is the number of the pipe's descriptor. The log is for people, and says what its level lets through.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import stat
import sys
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

if sys.platform != "win32":
    import fcntl

VARIABLE = "FACET_ANNOUNCE_FD"
_WHOLE_BYTES = getattr(select, "PIPE_BUF", 512)  # POSIX's least, where a system does not say
"""A line of at most so many bytes is written whole or not at all."""
_FIRST_OWN = 3
"""The descriptors before it are the standard streams."""

_log = logging.getLogger("facet.server")


class State(StrEnum):
    """How far a process has come."""

    LISTENING = "listening"
    """Its ports are open."""
    NOT_READY = "not ready"
    """It lacks something, and will look for it again."""
    READY = "ready"
    """It serves."""


class Announcement(BaseModel):
    """One line."""

    model_config = ConfigDict(frozen=True)

    state: State
    port: int | None = None
    """Of gRPC or HTTP; like the two below, with `LISTENING`."""
    health_port: int | None = None
    """None = it has none."""
    metrics_port: int | None = None
    reason: str | None = None
    """With `NOT_READY`: what it lacks and what to do."""

    @classmethod
    def not_ready(cls, reason: str) -> Self:
        """For a reason that may quote anything, such as a path that is no text."""
        return cls(state=State.NOT_READY, reason=reason.encode(errors="replace").decode())

    @classmethod
    def parse(cls, line: bytes) -> Self | None:
        """What a line says; None for one that is no announcement, such as a state that this version does not know."""
        try:
            return cls.model_validate_json(line)
        except ValidationError:
            return None

    def line(self) -> bytes:
        """One line short enough for a pipe to take it whole or not at all; a very long reason is cut off."""
        line = self.model_dump_json(exclude_none=True).encode() + b"\n"
        if len(line) <= _WHOLE_BYTES or self.reason is None:
            return line
        return self.model_copy(update={"reason": self.reason[: len(self.reason) // 2]}).line()


class Announcer:
    """The end of the pipe that announcements go into. Whoever reads them, or does not, holds nothing up."""

    def __init__(self, descriptor: int | None, problem: str = "") -> None:
        """Into this descriptor, None = nowhere; `problem` goes to the log with the first announcement."""
        self._descriptor = descriptor
        self._problem = problem

    @classmethod
    def inherited(cls) -> Self:
        """That of the environment, taken out of it: what this process starts gets neither the variable nor the pipe.

        Call it before this process opens any file, which might get the number of a descriptor that is not there.
        """
        value = os.environ.pop(VARIABLE, "")
        if not value:
            return cls(None)
        try:
            descriptor = int(value)
            _refuse_unless_writable_pipe(descriptor)
        except (ValueError, OverflowError, OSError):
            return cls(None, f"{VARIABLE}: {value!r} is not the descriptor of an open pipe; nothing is announced")
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, False)
        return cls(descriptor)

    def announce(self, announcement: Announcement) -> None:
        """Sends it. It is lost where the pipe is full, or where nobody reads any more."""
        if self._problem:
            _log.warning(self._problem)
            self._problem = ""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, announcement.line())


def _refuse_unless_writable_pipe(descriptor: int) -> None:
    if descriptor < _FIRST_OWN or not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        raise ValueError
    if sys.platform != "win32" and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise ValueError
