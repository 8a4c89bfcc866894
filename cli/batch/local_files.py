"""Writing a file of this machine so that a crash leaves either the old one or the new one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_durably(
    path: Path | str, content: bytes, *, folder: int | None = None, mode: int | None = None
) -> os.stat_result:
    """Makes a new file and waits until the disk has its content.

    Args:
        path: Where, from the folder on.
        content: What.
        folder: A descriptor; None = the working folder.
        mode: Its permissions; None = as the umask says.

    Raises:
        OSError: It cannot be written; a part of it may be left.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        return os.fstat(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name beside it, then renames.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        write_durably(temporary, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
