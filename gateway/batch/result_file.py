"""The one file that all answers go to: replaced as a whole, on this machine or in an object store."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from gateway.batch.answers import FileFormat
from gateway.batch.bucket_errors import told_as_os_errors
from gateway.batch.buckets import Bucket, is_url, open_bucket
from gateway.batch.journal import Answered
from gateway.batch.notebook import FileNotebook, MemoryNotebook, Notebook
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

    def notebook(self, *, overwrite: bool) -> Notebook:
        """As ResultFile says."""
        if self._path.exists() and not self._journal.exists() and not overwrite:
            raise InvalidRequest(f"{self._path} exists; give another name, or --overwrite to replace it")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return FileNotebook(self._journal)

    def write(self, entries: Iterable[Answered], written: FileFormat) -> None:
        """As ResultFile says."""
        temporary = self._path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with temporary.open("xb") as file:
                written.write(entries, file)
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
