"""Locks on open files: held until the file is closed or its process ends."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_AT = 1 << 30
"""Where Windows locks one byte: nobody else may read or write what is locked, so beyond what a file holds."""


def lock(descriptor: int, *, wait: bool) -> None:
    """Locks the file for this process alone; it must be open for writing.

    Raises:
        BlockingIOError: Another process has locked it, and nobody is to wait.
    """
    if sys.platform == "win32":
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _AT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, "locked by another process") from error
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
