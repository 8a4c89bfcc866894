"""The file of the audit log: appends lines to the chain and has them on the disk before it returns.

It may be moved away at any time (logrotate): the next line begins a new file, whose first line carries the hash of the
last one of the old. Whatever fails leaves whole lines: what cannot be written completely is taken back.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.audit.chain import BEGINNING, Anchor, Value, chain, read_line
from services.chassis.errors import InvalidRequest
from services.chassis.process.file_locks import lock

MODE = 0o600
LONGEST_LINE_BYTES = 64 * 1024

Fields = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """How a file ends."""

    anchor: Anchor
    """Of its last whole line."""
    torn: bytes
    """What stands behind that: a line that a crash cut off."""


class AuditFile:
    """Owned by one process, used by one thread at a time."""

    def __init__(self, path: Path, instance: str) -> None:
        """Takes the file for this process and goes on where it ends.

        Args:
            path: It is made where there is none, for its owner alone to read.
            instance: Which gateway this is, stated in every line.

        Raises:
            InvalidRequest: It cannot be written, another process writes it, or its last line is not of this chain.
        """
        self._path = path
        self._instance = instance
        self._last = BEGINNING
        self._file: int | None = None
        try:
            self._lock = _lock(path)
            try:
                self._file = self._open()
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from error

    @property
    def last(self) -> Anchor:
        """The last line."""
        return self._last

    def append(self, entries: Sequence[Fields]) -> list[Anchor]:
        """Adds a line for each entry; all are on the disk when it returns. Blocks.

        Raises:
            OSError: They could not be written; none of them counts as written.
            InvalidRequest: The file was replaced by one that is no audit log.
        """
        if self._file is None or self._is_elsewhere(self._file):
            self._close_file()
            self._file = self._open()
        return self._append(self._file, entries)

    def close(self) -> None:
        """Leaves the file to other processes."""
        self._close_file()
        os.close(self._lock)

    def _close_file(self) -> None:
        """Closes the file, but does not leave it to others."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _is_elsewhere(self, file: int) -> bool:
        """Whether the path no longer leads to the open file: it was moved or removed."""
        ours = os.fstat(file)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        return (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino)

    def _open(self) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise InvalidRequest(f"{self._path} is not a regular file, and an audit log must be one")
            end = _end_of(file, self._path, self._last)
            if end is None:
                _sync_folder(self._path)
                return file
            self._last = end.anchor
            if end.torn:
                self._finish(file, end.torn)
        except BaseException:
            os.close(file)
            raise
        return file

    def _finish(self, file: int, torn: bytes) -> None:
        """Ends the line that a crash cut off; the next one marks it, unless all it lacked was the line break."""
        line = read_line(torn)
        if line is not None:
            self._last = line.anchor
            self._append(file, [], before=b"\n")
            return
        digest = hashlib.sha256(torn).hexdigest()
        self._append(file, [{"event": "torn", "torn_bytes": len(torn), "torn_sha256": digest}], before=b"\n")

    def _append(self, file: int, entries: Sequence[Fields], *, before: bytes = b"") -> list[Anchor]:
        lines, anchors, last = [before], [], self._last
        for entry in entries:
            fields = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "instance": self._instance, **entry}
            line, last = chain(last, fields)
            lines.append(line)
            anchors.append(last)
        size = os.fstat(file).st_size
        try:
            _write_all(file, b"".join(lines))
            os.fdatasync(file)
        except OSError:
            # What the disk holds after a failed write nobody knows: take it back, and look again before the next.
            with suppress(OSError):
                os.ftruncate(file, size)
            if file == self._file:
                self._close_file()
            raise
        self._last = last
        return anchors


def _lock(path: Path) -> int:
    """Held beside the file, as the file itself may be moved away."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        lock(descriptor, wait=False)
    except BlockingIOError:
        os.close(descriptor)
        raise InvalidRequest(f"{path} is in use by another process; each gateway needs its own file") from None
    return descriptor


def _end_of(file: int, path: Path, last: Anchor) -> _End | None:
    """How the file ends, where `last` was written before it was begun; None for an empty one."""
    size = os.fstat(file).st_size
    if size == 0:
        return None
    start = max(0, size - 2 * LONGEST_LINE_BYTES)
    whole, line_break, torn = os.pread(file, size - start, start).rpartition(b"\n")
    if not line_break and start == 0:  # not even the first line was finished
        return _End(anchor=last, torn=torn)
    line = read_line(whole.rpartition(b"\n")[2])
    if line is None:
        raise InvalidRequest(
            f"the last line of {path} is not a valid audit entry: move the file away, and check it with "
            "`facet audit verify`"
        )
    return _End(anchor=line.anchor, torn=torn)


def _write_all(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]


def _sync_folder(path: Path) -> None:
    """Has the name of a new file on the disk, too."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
