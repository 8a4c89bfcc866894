"""Files and folders of this machine: found without following links to folders, read without ever touching a device."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.batch.naming import OWN_FOLDER, shown
from cli.batch.outcomes import Changed, Outcome, Status
from services.chassis.errors import InvalidRequest, TooLarge
from services.chassis.process.sizes import limit_text, size_text


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A regular file, or a link to one."""

    path: str
    location: str
    """Where it is, for the system."""
    version: str
    identity: tuple[int, int]
    """Device and inode."""

    def read(self, max_bytes: int) -> bytes:
        """As Source says."""
        # Not blocking: what has become a FIFO since it was found must not hold the run up.
        descriptor = os.open(self.location, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode) or version_of(before) != self.version:
                raise Changed("it has changed since it was found; the next run takes it as it is then")
            if before.st_size > max_bytes:
                raise TooLarge(f"it has {size_text(before.st_size)}; at most {limit_text(max_bytes)} are accepted")
            content = file.read(before.st_size + 1)
            if len(content) != before.st_size or version_of(os.fstat(descriptor)) != self.version:
                raise Changed("it was written to while it was read; the next run takes it as it is then")
        return content


def version_of(status: os.stat_result) -> str:
    """Another one as soon as the file is written to."""
    return f"{status.st_size}-{status.st_mtime_ns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts below a folder."""

    hidden: bool = False
    """Files and folders whose names begin with a dot."""
    links: bool = True
    """Links to files; links to folders never do."""
    leave_out: Sequence[Path] = ()
    """What this run itself writes, where it lies inside a source."""


def files_at(text: str, rules: Rules) -> Iterator[LocalFile | Outcome]:
    """What a path or a pattern stands for; a folder stands for everything below it.

    A link that is given is followed, also to a folder.

    Raises:
        InvalidRequest: It is neither there nor a pattern.
    """
    places = {place for path in rules.leave_out for place in (_place(path), _place(_target(path)))}
    walk = _Walk(rules=rules, leave_out=places - {None})
    if os.path.lexists(text):
        if os.path.isdir(text):  # noqa: PTH112  (pathlib would normalise the path)
            yield from walk.below(text, "")
        else:
            yield walk.one(text, Path(text).name)
        return
    if not glob.has_magic(text):
        raise InvalidRequest(f"{ascii(text)[1:-1]}: no such file or folder")
    root = _fixed_part(text)
    for match in sorted(glob.glob(text, recursive=True, include_hidden=rules.hidden)):  # noqa: PTH207  (as the shell writes them)
        path = os.path.relpath(match, root or ".")
        if not os.path.isdir(match):  # noqa: PTH112
            yield walk.one(match, path)
        elif "**" not in text:  # `**` names what is below a folder by itself
            yield from walk.below(match, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    rules: Rules
    leave_out: set[_Place | None]

    def below(self, folder: str, path: str) -> Iterator[LocalFile | Outcome]:
        """Everything below a folder that stands at `path`."""
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208  (strings, with undecodable bytes kept)
        except OSError as error:
            yield Outcome.of_error(path or folder, error)
            return
        here = _identity(folder)
        for name in names:
            inside = f"{path}/{name}" if path else name
            location = os.path.join(folder, name)  # noqa: PTH118
            if here is not None and (*here, name) in self.leave_out:
                _refuse_link(location)
                continue
            if name == OWN_FOLDER:
                continue
            if name.startswith(".") and not self.rules.hidden:
                yield _skipped(inside, "HIDDEN", "its name begins with a dot; --hidden takes such files too")
            elif os.path.islink(location) and not self.rules.links:  # noqa: PTH114
                yield _skipped(inside, "LINK", "a link is not replaced")
            elif not os.path.isdir(location):  # noqa: PTH112
                yield self.one(location, inside)
            elif os.path.islink(location):  # noqa: PTH114
                yield _skipped(inside, "LINK", "a link to a folder is not followed; give the folder itself")
            else:
                yield from self.below(location, inside)

    def one(self, location: str, path: str) -> LocalFile | Outcome:
        """One file, or why it is passed over."""
        try:
            status = os.stat(location)  # noqa: PTH116
        except OSError as error:
            return Outcome.of_error(path, error)
        if not stat.S_ISREG(status.st_mode):
            return _skipped(path, "NOT_A_FILE", "a device, socket or pipe is never read")
        return LocalFile(
            path=path,
            location=location,
            version=version_of(status),
            identity=(status.st_dev, status.st_ino),
        )


def _skipped(path: str, reason: str, message: str) -> Outcome:
    return Outcome(path=path, status=Status.SKIPPED, reason=reason, message=message)


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino


_Place = tuple[int, int, str]
"""Device and inode of a folder, and a name in it: other names of a file that lies there are other places."""


def _place(path: Path) -> _Place | None:
    above = _identity(path.parent)
    return None if above is None else (*above, path.name)


def _target(path: Path) -> Path:
    """Where a folder is that results go to, if the path is a link; a file that is a link is itself replaced."""
    return path.resolve() if path.is_dir() else path


def _refuse_link(location: str) -> None:
    """Results do not go through a link that came with the pictures: it would hide from view where it leads to."""
    if os.path.islink(location) and os.path.isdir(location):  # noqa: PTH112, PTH114
        raise InvalidRequest(f"{shown(location)} is a link that lies among the pictures; give another folder with -o")


def _fixed_part(pattern: str) -> str:
    """The folder that a pattern names before its first wildcard."""
    parts = pattern.split("/")
    wild = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    fixed = "/".join(parts[:wild])
    return fixed or ("/" if pattern.startswith("/") else "")
