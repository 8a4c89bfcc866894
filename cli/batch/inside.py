"""What lies below a folder of this machine, reached from its descriptor name by name and never through a link."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cli.batch.naming import shown
from cli.batch.outcomes import NameTaken
from services.chassis.errors import InvalidRequest

_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)  # Windows has neither; see `open_given`
_ON_THE_WAY = getattr(os, "O_PATH", os.O_RDONLY) | _FOLDER  # Linux alone opens a folder that may not be listed
_TO_LIST = os.O_RDONLY | _FOLDER
_NO_FOLDER = (errno.ELOOP, errno.ENOTDIR)
_BLOCK_BYTES = 1024 * 1024


def open_given(path: Path) -> int:
    """A descriptor of a folder that somebody named: a link is followed.

    Raises:
        InvalidRequest: This system does not open files by the descriptor of their folder.
        OSError: It cannot be opened.
    """
    if os.open not in os.supports_dir_fd:
        raise InvalidRequest("results are written safely on Linux and macOS alone: on Windows, use WSL or the web page")
    return os.open(path, _ON_THE_WAY)


def open_own(name: str, parent: int, *, mode: int, told: Path) -> int:
    """A descriptor of a folder that runs make for themselves, made where it is missing.

    Raises:
        InvalidRequest: Something else has its name; `told` is the path for the message.
        OSError: It cannot be made or opened.
    """
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=parent)
    try:
        return os.open(name, _TO_LIST | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno in _NO_FOLDER:
            raise not_of_a_run(told, "a link or a file, where a run makes a folder") from error
        raise


def open_plain(name: str, parent: int, told: Path, flags: int) -> int:
    """A descriptor of a file that runs made: itself, neither a link nor a pipe nor a device.

    Raises:
        InvalidRequest: It is no such file.
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise not_of_a_run(told, "no plain file") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise not_of_a_run(told, "no plain file")
    return descriptor


def not_of_a_run(path: Path, what: str) -> InvalidRequest:
    """The refusal of state that no run has made."""
    return InvalidRequest(f"{shown(str(path))} is {what}; no run of Facet made it. Look at it, then delete it")


@contextmanager
def folder_of(path: str, root: int, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """The folder that a path below the root leads to, and the path's last name in it.

    Raises:
        NameTaken: A folder on the way is a link, or is none.
        OSError: It is not there, or cannot be made.
    """
    *folders, name = path.split("/")
    at = os.dup(root)
    try:
        for folder in folders:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=at)
            try:
                inner = os.open(folder, _ON_THE_WAY | os.O_NOFOLLOW, dir_fd=at)
            except OSError as error:
                if error.errno in _NO_FOLDER:
                    message = "a folder on its way is a link or a file, and might lead back to the originals"
                    raise NameTaken(message) from error
                raise
            os.close(at)
            at = inner
        yield at, name
    finally:
        os.close(at)


def status_of(path: str, root: int) -> os.stat_result | None:
    """Of what stands at a path below the root, itself if it is a link; None = nothing, or behind a link."""
    try:
        with folder_of(path, root) as (folder, name):
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (OSError, NameTaken):
        return None


def sha256_of(path: str, root: int, size_bytes: int) -> str:
    """Of a plain file of this size below the root; empty for anything else.

    Raises:
        OSError: It cannot be read.
    """
    with folder_of(path, root) as (folder, name):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size_bytes:
            return ""
        digest, left = hashlib.sha256(), size_bytes + 1
        while left and (block := file.read(min(left, _BLOCK_BYTES))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()
