"""A folder of this machine as a destination; temporary files and the journal lie in its `.facet`."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Hashable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from cli.batch.destinations import Memory
from cli.batch.inside import folder_of, not_of_a_run, open_given, open_own, open_plain, sha256_of, status_of
from cli.batch.journal import JournalFile, Written, entries_of
from cli.batch.journal_key import journal_key
from cli.batch.local_files import write_durably
from cli.batch.local_sources import version_of
from cli.batch.naming import OWN_FOLDER, shown
from cli.batch.outcomes import Changed, NameTaken
from cli.batch.seal import Seal, SealedLines
from cli.batch.shards import Shard
from cli.batch.sources import Source
from services.chassis.errors import InvalidRequest

LONGEST_LINE_BYTES = 1024 * 1024
_JOURNAL = re.compile(r"journal-([0-9]{1,9}-of-[0-9]{1,9})\.jsonl", re.ASCII)
_RENAMED_WITHIN_NS = 2_000_000_000
"""A result is renamed into place so soon after it was written: what changed later is compared by its content."""


class LocalFolder:
    """Mirrors the sources below a folder.

    A result is written to `.facet`, noted in the journal, and only then renamed to where it belongs: what the journal
    tells and what stands there together say whether it is done, whenever the run was killed.

    The folder may come from anybody, and others may write to it: no link in it is followed, only lines that are sealed
    with this user's key count, and of what they tell the content has to be there.
    """

    def __init__(self, root: Path, shard: Shard) -> None:
        """Nothing is made or read yet."""
        self._root_path = root
        self._own_path = root / OWN_FOLDER
        self._parts_name = f"parts-{shard.label}"
        self._label = shard.label
        self._open = ExitStack()
        self.notices: list[str] = []

    def is_one_name(self, one: str, other: str) -> bool:
        """As Destination says; tried out in the folder itself."""
        del one, other
        with ExitStack() as folders:
            root, own = self._own_folder(folders)
            capitals = status_of(OWN_FOLDER.upper(), root)
            return capitals is not None and os.path.samestat(capitals, os.fstat(own))

    def refuse_inputs(self, outputs: Collection[str], inputs: Collection[Hashable]) -> None:
        """As Destination says; links and other names of an input are seen through."""
        for output in outputs:
            try:
                status = (self._root_path / output).stat()
            except (OSError, ValueError):
                continue
            if (status.st_dev, status.st_ino) in inputs:
                raise InvalidRequest(
                    f"{shown(str(self._root_path / output))} is one of the pictures to be treated; "
                    "write to another folder, or give --in-place to lose the originals"
                )

    def __enter__(self) -> Self:
        """As Destination says."""
        key = journal_key()
        with ExitStack() as opened:
            self._root, self._own = self._own_folder(opened)
            self._seal = Seal(key, f"folder {self._label}")
            journal = self._own_path / f"journal-{self._label}.jsonl"
            self._journal = JournalFile(journal, self._seal, folder=self._own)
            opened.callback(self._journal.close)
            self._parts = self._own_parts(opened)
            self._memory = Memory(self._entries(key))
            self._open = opened.pop_all()
        return self

    def _own_folder(self, opened: ExitStack) -> tuple[int, int]:
        """Descriptors of the folder and of its `.facet`, made where they are missing."""
        self._root_path.mkdir(parents=True, exist_ok=True)
        root = open_given(self._root_path)
        opened.callback(os.close, root)
        own = open_own(OWN_FOLDER, root, mode=0o777, told=self._own_path)
        opened.callback(os.close, own)
        return root, own

    def _own_parts(self, opened: ExitStack) -> int:
        """The folder of unfinished files, nobody else's to write to, without what earlier runs have left there."""
        path = self._own_path / self._parts_name
        parts = open_own(self._parts_name, self._own, mode=0o700, told=path)
        opened.callback(os.close, parts)
        if os.fstat(parts).st_uid != os.geteuid():
            raise not_of_a_run(path, "another user's")
        opened.callback(self._remove_parts)
        os.fchmod(parts, 0o700)
        others = 0
        for name in os.listdir(parts):  # noqa: PTH208  (of a descriptor)
            if self._seal.is_part_name(name):
                os.unlink(name, dir_fd=parts)
            else:
                others += 1
        if others:
            self.notices.append(f"{shown(str(path))} holds {others:,} files that no run of yours made; they stay there")
        return parts

    def _remove_parts(self) -> None:
        with suppress(OSError):  # what is not ours stays in it
            os.rmdir(self._parts_name, dir_fd=self._own)

    def _entries(self, key: bytes) -> Iterator[Written]:
        for name in sorted(os.listdir(self._own)):  # noqa: PTH208  (of a descriptor)
            if not (label := _JOURNAL.fullmatch(name)):
                continue
            path = self._own_path / name
            descriptor = open_plain(name, self._own, path, os.O_RDONLY)
            with os.fdopen(descriptor, "rb") as file:
                seal = Seal(key, f"folder {label[1]}")
                lines = SealedLines(file, seal, name=shown(str(path)), longest_bytes=LONGEST_LINE_BYTES)
                yield from entries_of((fields for _, fields in lines), Written)
            if lines.others:
                self.notices.append(not_believed(str(path), lines.others))

    def finished(self, source: Source, options: str) -> Written | None:
        """As Destination says."""
        results = (entry for entry in self._memory.of(source.path) if entry.options == options)
        return next((entry for entry in results if entry.source == source.version and self._stands(entry)), None)

    def is_taken(self, output: str) -> bool:
        """As Destination says."""
        if status_of(output, self._root) is None:
            return False
        return not any(self._stands(entry) for entry in self._memory.written(output))

    def begin(self, outputs: Sequence[str]) -> None:
        """As Destination says: the journal tells each one before it is there."""

    def write(self, result: Written, content: bytes) -> None:
        """As Destination says."""
        with folder_of(result.output, self._root, make=True) as (folder, name):
            self._put(folder, name, result, content)

    def _put(self, folder: int, name: str, result: Written, content: bytes, mode: int | None = None) -> None:
        part = self._seal.part_name()
        try:
            status = write_durably(part, content, folder=self._parts, mode=mode)
            written = replace(result, mtime_ns=status.st_mtime_ns, inode=status.st_ino, changed_ns=status.st_ctime_ns)
            self._journal.append(written)
            os.rename(part, name, src_dir_fd=self._parts, dst_dir_fd=folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=self._parts)

    def _stands(self, entry: Written) -> bool:
        """Whether a result is where it belongs.

        A time of writing can be set at will, so that it proves nothing. The time of a change cannot: only for a file
        that did not change after it was renamed into place, the content is not read again.
        """
        try:
            status = status_of(entry.output, self._root)
            if status is None or not stat.S_ISREG(status.st_mode) or status.st_size != entry.size_bytes:
                return False
            since_ns = status.st_ctime_ns - entry.changed_ns
            if (status.st_ino, status.st_mtime_ns) == (entry.inode, entry.mtime_ns) and (
                0 <= since_ns <= _RENAMED_WITHIN_NS
            ):
                return True
            return sha256_of(entry.output, self._root, entry.size_bytes) == entry.sha256
        except (OSError, NameTaken):
            return False

    def __exit__(self, *_: object) -> None:
        """As Destination says."""
        self._open.close()


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
        with folder_of(result.path, self._root) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode) or version_of(status) != result.source:
                raise Changed("it was written to while it was treated; the next run takes it as it is then")
            self._put(folder, name, result, content, mode=status.st_mode & 0o777)


def not_believed(path: str, lines: int) -> str:
    """The notice of a journal that holds what this user's runs did not write."""
    return (
        f"{shown(path)}: {lines:,} lines are not sealed with your key and count for nothing: another user's or "
        "machine's (FACET_JOURNAL_KEY lets them share one), an older release's, damaged or forged"
    )
