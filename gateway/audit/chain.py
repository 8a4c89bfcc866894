r"""Lines that hold together: each carries the SHA-256 of itself and of the line before it.

A line is one JSON object in ASCII whose last two members are `prev`, the hash of the line before, and `hash`: the
SHA-256 of the line's bytes up to there, closed with `}`. So no two programs can disagree about how to write it down:

    sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\n' | sha256sum
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

NO_HASH = "0" * 64
"""What the first line of all has for the one before it."""

_TAIL = re.compile(rb',"hash":"([0-9a-f]{64})"\}$')

Value = str | int | float | bool | None | list[str] | Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A place in the chain. Whoever noted one elsewhere can tell whether the lines up to it are still there."""

    seq: int
    """Number of the line, from 1."""
    hash: str
    """Its SHA-256, 64 hex digits."""

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


BEGINNING = Anchor(seq=0, hash=NO_HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that was read and is whole: its hash is right."""

    anchor: Anchor
    prev: str
    fields: Mapping[str, object]


def chain(previous: Anchor, fields: Mapping[str, Value]) -> tuple[bytes, Anchor]:
    """The line that follows `previous`, with its line break, and where it stands."""
    seq = previous.seq + 1
    body = json.dumps({"seq": seq, **fields, "prev": previous.hash}, separators=(",", ":"), allow_nan=False).encode()
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + f',"hash":"{digest}"}}\n'.encode(), Anchor(seq=seq, hash=digest)


def read_line(line: bytes) -> Line | None:
    """What `chain` made, without its line break; None where it is not as `chain` made it."""
    tail = _TAIL.search(line)
    if tail is None:
        return None
    body = line[: tail.start()] + b"}"
    digest = tail[1].decode()
    if hashlib.sha256(body).hexdigest() != digest:
        return None
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    seq, prev = fields.get("seq"), fields.get("prev")
    if not isinstance(seq, int) or not isinstance(prev, str):
        return None
    return Line(anchor=Anchor(seq=seq, hash=digest), prev=prev, fields=fields)
