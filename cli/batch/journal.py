"""What is already done, one JSON line a file, so that a run that was killed goes on where it ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from cli.batch.inside import not_of_a_run, open_plain
from cli.batch.outcomes import Outcome
from cli.batch.seal import Seal
from services.chassis.errors import InvalidRequest
from services.chassis.process.file_locks import lock

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
    md5: str = ""
    """Of the output, for what an object store says of it."""
    inode: int = 0
    """Of the output, in a folder; with `changed_ns` it says that nobody has written there since."""
    changed_ns: int = 0
    """When the output was written, by the clock of its file system."""

    @property
    def outcome(self) -> Outcome:
        """Its row of the report."""
        return Outcome.done(self.path, faces=self.faces, output=self.output, model=self.model, notice=self.notice)


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
        return Outcome.done(self.path, faces=self.faces, model=self.model, notice=self.notice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A result file that a run wrote while some pictures were still to be tried again."""

    released_bytes: int
    released_sha256: str


Entry = Written | Claimed | Answered | Released


def line_of(entry: Entry, seal: Seal) -> bytes:
    """An entry as one sealed line."""
    return seal.sealed(asdict(entry))


def entries_of(opened: Iterable[dict[str, Any]], kind: type[EntryT]) -> Iterator[EntryT]:
    """The entries of one kind among the fields of sealed lines; other kinds are passed over."""
    for fields in opened:
        try:
            yield kind(**fields)
        except TypeError:
            continue


class JournalFile:
    """Appends to one file of this machine, from any thread."""

    def __init__(self, path: Path, seal: Seal, *, folder: int) -> None:
        """Opens it, makes it if needed, and locks it for as long as it is open.

        Args:
            path: For messages, and its last name for the file.
            seal: For each line.
            folder: Descriptor of the folder that it lies in.

        Raises:
            InvalidRequest: Another process has it open, or it is no file that a run made: a link, or a second name of
                another file, which would be written to.
            OSError: It cannot be written.
        """
        self._lock = threading.Lock()
        self._seal = seal
        self._descriptor = open_plain(path.name, folder, path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            status = os.fstat(self._descriptor)
            if status.st_nlink != 1:
                raise not_of_a_run(path, "a second name of another file (a hard link)")
            try:
                lock(self._descriptor, wait=False)
            except BlockingIOError as error:
                raise InvalidRequest(f"another run writes to {path}; wait for its end") from error
            if status.st_uid == os.geteuid():
                os.fchmod(self._descriptor, 0o600)
            if status.st_size and os.pread(self._descriptor, 1, status.st_size - 1) != b"\n":
                os.write(self._descriptor, b"\n")  # a torn line must not swallow the next one
        except BaseException:
            self.close()
            raise

    def append(self, entry: Entry) -> None:
        """Adds an entry; it survives the end of this process."""
        line = memoryview(line_of(entry, self._seal))
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)
