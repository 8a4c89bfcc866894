"""Answers until they are written to one file: on disk beside that file, so that a killed run goes on, or in memory."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from cli.batch.inside import not_of_a_run, open_given, open_plain
from cli.batch.journal import Answered, JournalFile, Released, entries_of
from cli.batch.naming import shown
from cli.batch.seal import Seal, SealedLines
from services.chassis.errors import InvalidRequest

LONGEST_LINE_BYTES = 64 * 1024 * 1024
"""Of a picture with thousands of embedded faces."""

_BEGINNING = b'{"'
"""Of a first line, which a crash may have cut off."""

EntryT = TypeVar("EntryT")


class Notebook(Protocol):
    """Remembers one answer a picture."""

    def entries(self) -> Iterable[Answered]:
        """All that is remembered, of earlier runs too; a later one of a path counts."""

    def append(self, entry: Answered) -> None:
        """Remembers an answer; from any thread."""

    def in_order(self, paths: Collection[str]) -> Iterator[Answered]:
        """The answers of these pictures by path, one after the other from where they lie."""

    def close(self, *, forget: bool) -> None:
        """Ends; `forget`: nothing is left to be gone on with."""


class FileNotebook:
    """A journal beside the file that the answers go to; only what this user's key has sealed counts."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Opens it.

        Raises:
            InvalidRequest: Another run has it open, or no run of this user's has made it.
            OSError: It cannot be written.
        """
        self._path = path
        self._seal = Seal(key, f"answers {path.name}")
        with ExitStack() as opened:
            self._folder = open_given(path.parent)
            opened.callback(os.close, self._folder)
            with suppress(FileNotFoundError):
                self._refuse_foreign()
            self._journal = JournalFile(path, self._seal, folder=self._folder)
            opened.callback(self._journal.close)
            self._open = opened.pop_all()

    def _refuse_foreign(self) -> None:
        """It gets embeddings, and is deleted at the end: it has to be this user's, and of a run."""
        with self._lines() as (file, lines):
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid():
                raise not_of_a_run(self._path, "another user's")
            if not status.st_size or next(iter(lines), None) is not None:
                return
            file.seek(0)
            if file.read(len(_BEGINNING)) != _BEGINNING or b"\n" in file.read(LONGEST_LINE_BYTES):
                raise InvalidRequest(
                    f"{shown(str(self._path))} was written by no run of yours (or with another key, or by an older "
                    "release); delete it to begin anew, or set FACET_JOURNAL_KEY to the key it was written with"
                )

    @contextmanager
    def _lines(self) -> Iterator[tuple[BinaryIO, SealedLines]]:
        """The journal from its beginning on."""
        descriptor = open_plain(self._path.name, self._folder, self._path, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as file:
            name = shown(str(self._path))
            lines = SealedLines(file, self._seal, name=name, longest_bytes=LONGEST_LINE_BYTES)
            yield file, lines

    def _all(self, kind: type[EntryT]) -> Iterator[EntryT]:
        with self._lines() as (_, lines):
            yield from entries_of((fields for _, fields in lines), kind)

    def entries(self) -> Iterable[Answered]:
        """As Notebook says."""
        return self._all(Answered)

    def released(self) -> Iterator[Released]:
        """The result files that runs wrote and meant to write again."""
        return self._all(Released)

    def append(self, entry: Answered | Released) -> None:
        """As Notebook says."""
        self._journal.append(entry)

    def in_order(self, paths: Collection[str]) -> Iterator[Answered]:
        """As Notebook says."""
        places: dict[str, int] = {}
        with self._lines() as (_, lines):
            for place, fields in lines:
                for entry in entries_of([fields], Answered):
                    places[entry.path] = place
            for path in sorted(places.keys() & set(paths)):
                yield Answered(**lines.at(places[path]))

    def close(self, *, forget: bool) -> None:
        """As Notebook says."""
        if forget:
            os.unlink(self._path.name, dir_fd=self._folder)
        self._open.close()


class MemoryNotebook:
    """For answers that go to an object store: a run that is killed begins anew."""

    def __init__(self) -> None:
        self._entries: dict[str, Answered] = {}

    def entries(self) -> Iterable[Answered]:
        """As Notebook says."""
        return list(self._entries.values())

    def append(self, entry: Answered) -> None:
        """As Notebook says."""
        self._entries[entry.path] = entry

    def in_order(self, paths: Collection[str]) -> Iterator[Answered]:
        """As Notebook says."""
        return (self._entries[path] for path in sorted(self._entries.keys() & set(paths)))

    def close(self, *, forget: bool) -> None:
        """As Notebook says."""
        del forget
