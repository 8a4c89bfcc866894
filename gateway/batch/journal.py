"""What is already done, one JSON line a file, so that a run that was killed goes on where it ended."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from gateway.batch.outcomes import Outcome, Status
from services.chassis.errors import InvalidRequest

EntryT = TypeVar("EntryT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A picture that was anonymized."""

    path: str
    source: str
    """The version of the original: another one is treated again."""
    options: str
    """A digest of what was asked for: with other options everything is treated again."""
    output: str
    size_bytes: int
    mtime_ns: int
    """Of the output; in an object store, when it was put there."""
    sha256: str
    """Of the output."""
    faces: int
    model: str
    notice: str

    @property
    def outcome(self) -> Outcome:
        """Its row of the report."""
        return Outcome(
            path=self.path,
            status=Status.DONE,
            faces=self.faces,
            output=self.output,
            model=self.model,
            notice=self.notice,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """Outputs that did not exist when a run began to write them."""

    claimed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A picture whose faces were found."""

    path: str
    source: str
    options: str
    faces: int
    model: str
    notice: str
    answer: str
    """The faces, as JSON."""

    @property
    def outcome(self) -> Outcome:
        """Its row of the report."""
        return Outcome(path=self.path, status=Status.DONE, faces=self.faces, model=self.model, notice=self.notice)


def line_of(entry: Written | Claimed | Answered) -> bytes:
    """An entry as one line of ASCII; undecodable bytes of a name survive as escaped surrogates."""
    return json.dumps(asdict(entry)).encode() + b"\n"


def entries_in(lines: Iterable[bytes], kind: type[EntryT]) -> Iterator[EntryT]:
    """The entries of one kind; other lines, and one that a crash has torn, are passed over."""
    for line in lines:
        try:
            yield kind(**json.loads(line))
        except (ValueError, TypeError):
            continue


class JournalFile:
    """Appends to one file of this machine, from any thread."""

    def __init__(self, path: Path) -> None:
        """Opens it, makes it if needed, and locks it for as long as it is open.

        Raises:
            InvalidRequest: Another process has it open.
            OSError: It cannot be written.
        """
        self._lock = threading.Lock()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise InvalidRequest(f"another run writes to {path}; wait for its end") from error
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":  # a torn line must not swallow the next one
            os.write(self._descriptor, b"\n")

    def append(self, entry: Written | Answered) -> None:
        """Adds an entry; it survives the end of this process."""
        line = memoryview(line_of(entry))
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)
