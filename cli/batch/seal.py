"""Seals on lines and names: HMAC-SHA256 with the user's key, so that nothing counts because it lies in a folder."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from typing import Any, BinaryIO

from services.chassis.errors import InvalidRequest

_MARK = b', "seal": "'
_END = b'"}\n'
_HEX = 64
_TAIL = len(_MARK) + _HEX + len(_END)
_BLOCK_BYTES = 4 * 1024 * 1024
LARGEST_JOURNAL_BYTES = 16 * 1024**3
MOST_FORGERIES = 1_000_000
"""Lines of one journal that claim to be sealed and are not; nobody's runs leave so many."""
_PART_NAME_BYTES = 16


class Seal:
    """Seals what is written to one place, and recognises it there."""

    def __init__(self, key: bytes, place: str) -> None:
        """`place` says what the lines are about: sealed for another place, they count for nothing."""
        self._base = hmac.new(key, os.fsencode(place) + b"\0", hashlib.sha256)

    def sealed(self, fields: dict[str, Any]) -> bytes:
        """One line of ASCII, a JSON object; undecodable bytes of a name survive as escaped surrogates."""
        body = json.dumps(fields).encode()[:-1]
        return body + _MARK + self._mac(b"line", body).encode() + _END

    def opened(self, line: bytes) -> dict[str, Any] | None:
        """The fields of a line that this seal is on; nothing else is even parsed."""
        body, tail = line[:-_TAIL], line[-_TAIL:]
        if not (tail.startswith(_MARK) and tail.endswith(_END)):
            return None
        if not hmac.compare_digest(self._mac(b"line", body).encode(), tail[len(_MARK) : -len(_END)]):
            return None
        fields: dict[str, Any] = json.loads(body + b"}")
        return fields

    def part_name(self) -> str:
        """A new name for an unfinished file."""
        nonce = secrets.token_hex(_PART_NAME_BYTES)
        return f"{nonce}-{self._mac(b'part', nonce.encode())}"

    def is_part_name(self, name: str) -> bool:
        """Whether `part_name` made it."""
        nonce, _, mac = name.partition("-")
        return hmac.compare_digest(os.fsencode(mac), self._mac(b"part", os.fsencode(nonce)).encode())

    def _mac(self, kind: bytes, content: bytes) -> str:
        mac = self._base.copy()
        mac.update(kind + b"\0" + content)
        return mac.hexdigest()


class SealedLines:
    """The lines of a journal that a seal is on; what else lies there takes neither memory nor parsing."""

    def __init__(self, file: BinaryIO, seal: Seal, *, name: str, longest_bytes: int) -> None:
        """`name` is for messages; no longer line is read.

        Raises:
            InvalidRequest: The journal is larger than any run's. While it is read: there are too many forgeries.
        """
        self._file = file
        self._seal = seal
        self._name = name
        self._longest_bytes = longest_bytes
        self.others = 0
        """So many lines, so far, were not sealed."""
        self.sealed_bytes = 0

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each one's place in the file and its fields."""
        held, start, forgeries = b"", 0, 0
        while block := self._file.read(_BLOCK_BYTES):
            if start > LARGEST_JOURNAL_BYTES:
                raise self._refused()
            held += block
            end = held.rfind(b"\n") + 1
            self.others += held.count(b"\n", 0, end)
            for begin, line in _marked(held, end):
                fields = self._seal.opened(line) if len(line) <= self._longest_bytes else None
                if fields is None:
                    forgeries += 1
                    if forgeries > MOST_FORGERIES:
                        raise self._refused()
                    continue
                self.others -= 1
                self.sealed_bytes += len(line)
                yield start + begin, fields
            if not end and len(held) > self._longest_bytes:  # one line: what is left of it will not be sealed
                end = len(held)
            held, start = held[end:], start + end
        self.others += bool(held)

    def at(self, place: int) -> dict[str, Any]:
        """The fields of the line at a place that was told before.

        Raises:
            InvalidRequest: It is not there any more.
        """
        self._file.seek(place)
        if fields := self._seal.opened(self._file.readline(self._longest_bytes)):
            return fields
        raise InvalidRequest(f"{self._name} was changed by something else during this run; give the command again")

    def _refused(self) -> InvalidRequest:
        return InvalidRequest(
            f"{self._name} holds more than any run of yours wrote; delete it: its pictures are redone"
        )


def _marked(data: bytes, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines of `data[:end]` that look sealed; the others are passed at the speed of memory."""
    at = 0
    while (mark := data.find(_MARK, at, end)) >= 0:
        begin = data.rfind(b"\n", 0, mark) + 1
        at = data.find(b"\n", mark, end) + 1
        yield begin, data[begin:at]
