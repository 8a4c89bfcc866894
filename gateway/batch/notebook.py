"""Answers until they are written to one file: on disk beside that file, so that a killed run goes on, or in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from gateway.batch.journal import Answered, JournalFile, entries_in


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
    """A journal beside the file that the answers go to."""

    def __init__(self, path: Path) -> None:
        """Opens it.

        Raises:
            InvalidRequest: Another run has it open.
            OSError: It cannot be written.
        """
        self._path = path
        self._journal = JournalFile(path)

    def entries(self) -> Iterable[Answered]:
        """As Notebook says."""
        with self._path.open("rb") as lines:
            yield from entries_in(lines, Answered)

    def append(self, entry: Answered) -> None:
        """As Notebook says."""
        self._journal.append(entry)

    def in_order(self, paths: Collection[str]) -> Iterator[Answered]:
        """As Notebook says."""
        places: dict[str, int] = {}
        with self._path.open("rb") as lines:
            place = 0
            for line in lines:
                for entry in entries_in([line], Answered):
                    places[entry.path] = place
                place += len(line)
            for path in sorted(places.keys() & set(paths)):
                lines.seek(places[path])
                yield Answered(**json.loads(lines.readline()))

    def close(self, *, forget: bool) -> None:
        """As Notebook says."""
        if forget:
            self._path.unlink()
        self._journal.close()


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
