"""A folder of this machine as a destination; temporary files and the journal lie in its `.facet`."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Self

from gateway.batch.destinations import Memory
from gateway.batch.journal import JournalFile, Written, entries_in
from gateway.batch.local_files import write_durably
from gateway.batch.local_sources import version_of
from gateway.batch.naming import OWN_FOLDER, shown
from gateway.batch.outcomes import Changed, NameTaken
from gateway.batch.shards import Shard
from gateway.batch.sources import Source
from services.chassis.errors import InvalidRequest


class LocalFolder:
    """Mirrors the sources below a folder.

    A result is written to `.facet`, noted in the journal, and only then renamed to where it belongs: what the journal
    tells and what stands there together say whether it is done, whenever the run was killed.
    """

    def __init__(self, root: Path, shard: Shard) -> None:
        """Nothing is made or read yet."""
        self._root = root
        self._own = root / OWN_FOLDER
        self._parts = self._own / f"parts-{shard.label}"
        self._journal_path = self._own / f"journal-{shard.label}.jsonl"

    def is_one_name(self, one: str, other: str) -> bool:
        """As Destination says; tried out in the folder itself."""
        del one, other
        self._own.mkdir(parents=True, exist_ok=True)
        return (self._root / OWN_FOLDER.upper()).exists()

    def refuse_inputs(self, outputs: Collection[str], inputs: Collection[Hashable]) -> None:
        """As Destination says; links and other names of an input are seen through."""
        for output in outputs:
            try:
                status = (self._root / output).stat()
            except (OSError, ValueError):
                continue
            if (status.st_dev, status.st_ino) in inputs:
                raise InvalidRequest(
                    f"{shown(str(self._root / output))} is one of the pictures to be treated; "
                    "write to another folder, or give --in-place to lose the originals"
                )

    def __enter__(self) -> Self:
        """As Destination says."""
        self._own.mkdir(parents=True, exist_ok=True)
        self._journal = JournalFile(self._journal_path)
        self._parts.mkdir(exist_ok=True)
        for left in self._parts.iterdir():
            left.unlink()
        self._memory = Memory(self._entries())
        return self

    def _entries(self) -> Iterator[Written]:
        for path in sorted(self._own.glob("journal-*.jsonl")):
            with path.open("rb") as lines:
                yield from entries_in(lines, Written)

    def finished(self, source: Source, options: str) -> Written | None:
        """As Destination says."""
        results = (entry for entry in self._memory.of(source.path) if entry.options == options)
        return next((entry for entry in results if entry.source == source.version and self._stands(entry)), None)

    def is_taken(self, output: str) -> bool:
        """As Destination says."""
        if not os.path.lexists(self._root / output):
            return False
        return not any(self._stands(entry) for entry in self._memory.written(output))

    def begin(self, outputs: Sequence[str]) -> None:
        """As Destination says: the journal tells each one before it is there."""

    def write(self, result: Written, content: bytes) -> None:
        """As Destination says."""
        target = self._root / result.output
        for folder in PurePosixPath(result.output).parents:
            if (self._root / folder).is_symlink() and folder != PurePosixPath():
                raise NameTaken("a folder on its way is a link, and might lead back to the originals")
        target.parent.mkdir(parents=True, exist_ok=True)
        self._put(target, result, content)

    def _put(self, target: Path, result: Written, content: bytes, mode: int | None = None) -> None:
        temporary = self._parts / secrets.token_hex(8)
        try:
            status = write_durably(temporary, content)
            if mode is not None:
                temporary.chmod(mode)
            self._journal.append(replace(result, mtime_ns=status.st_mtime_ns))
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _stands(self, entry: Written) -> bool:
        """Whether a result is where it belongs; its content is compared where its time is not what it was."""
        path = self._root / entry.output
        try:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size_bytes:
                return False
            if status.st_mtime_ns == entry.mtime_ns:
                return True
            return hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
        except OSError:
            return False

    def __exit__(self, *_: object) -> None:
        """As Destination says."""
        self._parts.rmdir()
        self._journal.close()


class InPlace(LocalFolder):
    """The folder of the originals, each replaced by its result."""

    def refuse_inputs(self, outputs: Collection[str], inputs: Collection[Hashable]) -> None:
        """As asked for, every output is an input."""

    def finished(self, source: Source, options: str) -> Written | None:
        """As Destination says: what stands there is the result itself."""
        results = (entry for entry in self._memory.of(source.path) if entry.options == options)
        return next((entry for entry in results if self._stands(entry)), None)

    def is_taken(self, output: str) -> bool:  # noqa: ARG002
        """As asked for, what stands there is replaced."""
        return False

    def write(self, result: Written, content: bytes) -> None:
        """As Destination says; the file's permissions stay."""
        if result.output != result.path:
            raise NameTaken("its result is of another format and cannot take its place; give another folder with -o")
        target = self._root / result.path
        status = target.stat()
        if version_of(status) != result.source:
            raise Changed("it was written to while it was treated; the next run takes it as it is then")
        self._put(target, result, content, mode=stat.S_IMODE(status.st_mode))
