"""The one file that all answers go to: replaced as a whole, on this machine or in an object store."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from cli.batch.answers import FileFormat
from cli.batch.bucket_errors import told_as_os_errors
from cli.batch.buckets import Bucket, is_url, open_bucket
from cli.batch.inside import open_given, sha256_of
from cli.batch.journal import Answered, Released
from cli.batch.journal_key import journal_key
from cli.batch.notebook import FileNotebook, MemoryNotebook, Notebook
from services.chassis.errors import InvalidRequest


class ResultFile(Protocol):
    """Where answers go."""

    def notebook(self, *, overwrite: bool) -> Notebook:
        """What remembers them until then.

        Raises:
            InvalidRequest: Something stands there that no unfinished run has written.
        """

    def write(self, entries: Iterable[Answered], written: FileFormat) -> None:
        """Writes them all, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """


class LocalResult:
    """A file of this machine; its journal lies hidden beside it until everything is done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._journal = path.with_name(f".{path.name}.facet-journal")
        self._notebook: FileNotebook | None = None

    def notebook(self, *, overwrite: bool) -> Notebook:
        """As ResultFile says."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(self._journal):
            self._refuse_existing(overwrite=overwrite, released=())
        notebook = FileNotebook(self._journal, journal_key())
        try:
            self._refuse_existing(overwrite=overwrite, released=notebook.released())
        except InvalidRequest:
            notebook.close(forget=False)
            raise
        self._notebook = notebook
        return notebook

    def _refuse_existing(self, *, overwrite: bool, released: Iterable[Released]) -> None:
        """Leaves alone what stands there, unless an unfinished run of this user's wrote just that."""
        if overwrite or not os.path.lexists(self._path):
            return
        if not any(self._is(each) for each in released):
            raise InvalidRequest(f"{self._path} exists; give another name, or --overwrite to replace it")

    def _is(self, result: Released) -> bool:
        folder = open_given(self._path.parent)
        try:
            return sha256_of(self._path.name, folder, result.released_bytes) == result.released_sha256
        except OSError:
            return False
        finally:
            os.close(folder)

    def write(self, entries: Iterable[Answered], written: FileFormat) -> None:
        """As ResultFile says; noted before it is there, so that the next run may replace it."""
        temporary = self._path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with temporary.open("x+b") as file:
                written.write(entries, file)
                file.flush()
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size_bytes = os.fstat(file.fileno()).st_size
            if self._notebook:
                self._notebook.append(Released(released_bytes=size_bytes, released_sha256=digest))
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)


class BucketResult:
    """An object."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def notebook(self, *, overwrite: bool) -> Notebook:
        """As ResultFile says."""
        with told_as_os_errors():
            exists = self._bucket.files.exists(self._bucket.root)
        if exists and not overwrite:
            raise InvalidRequest(f"{self._bucket.root} exists; give another name, or --overwrite to replace it")
        return MemoryNotebook()

    def write(self, entries: Iterable[Answered], written: FileFormat) -> None:
        """As ResultFile says."""
        with told_as_os_errors(), self._bucket.files.open(self._bucket.root, "wb") as file:
            written.write(entries, file)


def result_file(text: str) -> ResultFile:
    """The place that a path or an address names.

    Raises:
        InvalidRequest: It cannot be one.
    """
    return BucketResult(open_bucket(text)) if is_url(text) else LocalResult(Path(text))
