"""What processes open to write to, told by strace, and whether one that crashed left a core dump."""

from __future__ import annotations

import re
from pathlib import Path

_CALLS = "openat,openat2,open,creat,memfd_create,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat"
_OPENED = re.compile(r'open(?:at|at2)?\([^"]*"((?:[^"\\]|\\.)*)"(?:\.\.\.)?, ([^)]*)\)\s+= \d')
_MADE = re.compile(r"(?:creat|memfd_create|mkdir|mkdirat|mknod|mknodat|rename\w*|link\w*)\((.*)\)\s+= \d")
_WRITABLE = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE")


def traced_by(folder: Path) -> tuple[str, ...]:
    """Runs a command under strace, which writes a file a thread into the folder, with leave to dump core.

    What it writes to its standard output goes where its log goes, to be read as well.
    """
    return (
        *("strace", "-D", "-ff", "--seccomp-bpf", "-s", "512", "-e", f"trace={_CALLS}", "-o", str(folder / "thread")),
        *("sh", "-c", 'ulimit -c unlimited; exec "$@" >&2', "sh"),
    )


def opened_to_write(folder: Path) -> set[str]:
    """The paths, and of memory and what was renamed the call's arguments."""
    found = set()
    for trace in folder.glob("thread.*"):
        for line in trace.read_text(errors="replace").splitlines():
            if (opened := _OPENED.search(line)) and _WRITABLE.search(opened[2]):
                found.add(opened[1])
            elif made := _MADE.match(line):
                found.add(made[1])
    return found


def dumped(folder: Path) -> int:
    """How many threads' ends strace saw with a core dump."""
    return sum("core dumped" in trace.read_text(errors="replace") for trace in folder.glob("thread.*"))


def crashed(folder: Path) -> int:
    """How many threads' ends strace saw by SIGABRT."""
    return sum("killed by SIGABRT" in trace.read_text(errors="replace") for trace in folder.glob("thread.*"))
