"""Small disks that can be filled, in memory. Made by root alone."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_FILLER = "filler"


@contextmanager
def small_disk(folder: Path, *, size_kib: int) -> Iterator[Path]:
    """A disk of that size, mounted at a folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> None:
    """Leaves not a byte of it."""
    more_than_fits = bytes(shutil.disk_usage(disk).free + 1)
    with pytest.raises(OSError, match="No space left on device"):
        (disk / _FILLER).write_bytes(more_than_fits)


def make_room(disk: Path) -> None:
    """Takes away what `fill` has written."""
    (disk / _FILLER).unlink()


def logging_to(file: Path) -> tuple[str, ...]:
    """A command under which a program's standard error goes to a file, from where it is read on as long as it grows."""
    return "sh", "-c", 'touch "$0"; tail --pid=$$ -n +1 -f "$0" >&2 & exec "$@" 2>>"$0"', str(file)
