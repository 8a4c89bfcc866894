"""Whether an audit log is as it was written: no line changed, removed, added or moved, over all its files in order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.audit.chain import NO_HASH, Anchor, Line, read_line
from services.chassis.errors import FacetError, InvalidRequest

_EXPECTED = re.compile(r"(\d+)(?::([0-9a-f]{64}))?")


class BrokenChainError(FacetError):
    """The log is not as it was written; the message names the first bad line and what is wrong with it."""

    reason = "BROKEN_CHAIN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A line that a reader knows from elsewhere, and its hash where that is known, too."""

    seq: int
    hash: str | None

    @classmethod
    def parse(cls, text: str) -> Expected:
        """`SEQ`, or `SEQ:HASH` as the access log has it.

        Raises:
            InvalidRequest: It is neither.
        """
        found = _EXPECTED.fullmatch(text)
        if found is None:
            raise InvalidRequest(f"{text!r} is neither a number of lines nor SEQ:HASH with 64 hexadecimal digits")
        return cls(seq=int(found[1]), hash=found[2])


@dataclass(slots=True, kw_only=True)
class Verified:
    """A log that is as it was written."""

    first: int = 0
    """Number of its first line."""
    last: Anchor | None = None
    """None = it has no lines."""
    notices: list[str] = field(default_factory=list)
    """What to know, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What a file has between two line breaks."""

    file: Path
    number: int
    content: bytes
    finished: bool
    """Whether a line break follows."""

    def __str__(self) -> str:
        return f"{self.file}, line {self.number}"


def verify(files: Sequence[Path], expected: Expected | None = None, *, first: Expected | None = None) -> Verified:
    """Checks the files of one gateway, from the oldest to the newest.

    Args:
        files: All there are, or those from a line on that `first` names.
        expected: The log went at least so far.
        first: Where the files begin; None = with line 1.

    Raises:
        BrokenChainError: A line is not as it was written, or not where it was.
        InvalidRequest: A file cannot be read.
    """
    reading = _Reading(expected, first)
    for written in _written(files):
        reading.take(written)
    return reading.end(files[-1])


class _Reading:
    """What is known of a log so far."""

    def __init__(self, expected: Expected | None, first: Expected | None) -> None:
        self._expected = expected
        self._first = first
        self._met = expected is None
        self._verified = Verified()
        self._previous: Line | None = None
        self._torn: _Written | None = None

    def take(self, written: _Written) -> None:
        """The next line."""
        line = read_line(written.content) if written.finished else None
        if self._torn is not None:
            if line is None:
                raise _changed(self._torn)
            self._verified.notices.append(_marked(self._torn, line))
        self._torn = written if line is None else None
        if line is None:
            return
        if self._previous is None:
            _check_first(written, line, self._first)
            self._verified.first = line.anchor.seq
        else:
            _check_place(written, line, self._previous)
        self._check_expected(written, line.anchor)
        self._previous, self._verified.last = line, line.anchor

    def end(self, last_file: Path) -> Verified:
        """There are no more."""
        verified = self._verified
        if self._torn is not None:
            if self._torn.finished or self._torn.file != last_file:
                raise _changed(self._torn)
            verified.notices.append(f"{self._torn}: incomplete: still being written, or cut off by a crash")
        if self._first is not None and verified.last is None:
            raise BrokenChainError(f"the files have no lines, but should begin with line {self._first.seq}")
        if self._expected is not None and not self._met:
            raise _unmet(self._expected, verified)
        if verified.first > 1:
            verified.notices.append(f"lines 1 to {verified.first - 1} are in earlier files, which were not checked")
        return verified

    def _check_expected(self, written: _Written, anchor: Anchor) -> None:
        if self._expected is None or self._expected.seq != anchor.seq:
            return
        if self._expected.hash not in {None, anchor.hash}:
            raise BrokenChainError(f"{written}: line {anchor.seq} had another hash when it was noted")
        self._met = True


def _written(files: Sequence[Path]) -> Iterator[_Written]:
    for path in files:
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    content = line.removesuffix(b"\n")
                    yield _Written(file=path, number=number, content=content, finished=content != line)
        except OSError as error:
            raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from error


def _check_first(place: _Written, line: Line, first: Expected | None) -> None:
    """The first line of all is where it has to be: beginning with a later one takes lines away as well."""
    seq = line.anchor.seq
    if (seq == 1) is not (line.prev == NO_HASH):
        raise BrokenChainError(f"{place}: its number is {seq}, which does not follow the line before it")
    due = 1 if first is None else first.seq
    if seq > due:
        gone = f"line {due} is" if seq == due + 1 else f"lines {due} to {seq - 1} are"
        hint = "; name earlier files first, or set where these begin: --from SEQ[:HASH]" if first is None else ""
        raise BrokenChainError(f"{place}: {gone} missing before it{hint}")
    if seq < due:
        raise BrokenChainError(f"{place}: it begins with line {seq}, not with line {due}")
    if first is not None and first.hash not in {None, line.anchor.hash}:
        raise BrokenChainError(f"{place}: line {seq} had another hash when it was noted")


def _check_place(place: _Written, line: Line, previous: Line) -> None:
    seq = line.anchor.seq
    if line.fields.get("instance") != previous.fields.get("instance") and line.prev != previous.anchor.hash:
        raise BrokenChainError(
            f"{place}: it is of another gateway ({line.fields.get('instance')}); check each separately"
        )
    due = previous.anchor.seq + 1
    if seq == 1:
        raise BrokenChainError(f"{place}: a new log begins here, not linked to the lines before")
    if seq > due:
        gone = f"line {due} is" if seq == due + 1 else f"lines {due} to {seq - 1} are"
        raise BrokenChainError(f"{place}: {gone} missing before it")
    if seq < due:
        raise BrokenChainError(f"{place}: line {seq} stands after line {due - 1}: it was moved or added")
    if line.prev != previous.anchor.hash:
        raise BrokenChainError(f"{place}: the line before it is not the one it was written after")


def _marked(torn: _Written, after: Line) -> str:
    """What to say of a line that a crash cut off, and that the next start has marked by the line after it."""
    if after.fields.get("torn_sha256") != hashlib.sha256(torn.content).hexdigest():
        raise _changed(torn)
    return f"{torn}: cut off by a crash, and marked by the next start; its call was not answered"


def _unmet(expected: Expected, verified: Verified) -> BrokenChainError:
    last = verified.last.seq if verified.last else 0
    if expected.seq > last:
        return BrokenChainError(f"the log ends with line {last}, and had at least {expected.seq}: its end was removed")
    return BrokenChainError(f"line {expected.seq} is in an earlier file than these; check that one too")


def _changed(place: _Written) -> BrokenChainError:
    return BrokenChainError(f"{place}: it was changed: its hash does not match")
