"""Requests out of bytes: bounded in what they are built of before they are parsed, large ones off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from services.chassis.errors import InvalidRequest

MAX_FIELDS = 70_000
"""Of one message, those of small messages in it not counted."""
MAX_STRUCTURE_BYTES = 8 * 1024 * 1024
"""All of a message but its pictures and aligned faces."""
_ON_THE_LOOP_FIELDS = 2_000
_ON_THE_LOOP_BYTES = 128 * 1024
"""Messages of so little structure are parsed within a few milliseconds at most: parsing copies a picture, no more."""
_SMALL_BYTES = 1024
"""A message in a message is looked into from this size on; smaller ones count with all their bytes."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_MORE = 0x80


class Parser:
    """Parses the messages of one kind."""

    def __init__(self, parse: Callable[[bytes], Message], kind: Descriptor, executor: ThreadPoolExecutor) -> None:
        self._parse = parse
        self._kind = kind
        self._executor = executor

    async def __call__(self, content: bytes) -> Message:
        """The message.

        Raises:
            InvalidRequest: It is no such message, or is built of too many parts.
        """
        if _is_within(content, self._kind, _ON_THE_LOOP_FIELDS, _ON_THE_LOOP_BYTES):
            return self._parsed(content)
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._parse_bounded, content)

    def _parse_bounded(self, content: bytes) -> Message:
        if not _is_within(content, self._kind, MAX_FIELDS, MAX_STRUCTURE_BYTES):
            raise InvalidRequest(
                f"the message has too many parts: at most {MAX_FIELDS} fields and {MAX_STRUCTURE_BYTES} bytes "
                "besides its picture are read; send fewer faces or regions a call"
            )
        return self._parsed(content)

    def _parsed(self, content: bytes) -> Message:
        try:
            return self._parse(content)
        except DecodeError as error:
            raise InvalidRequest("the message cannot be parsed: it is damaged, or of another type") from error


@dataclass(slots=True)
class _Left:
    """What may still come."""

    fields: int
    structure_bytes: int = field(kw_only=True)

    @property
    def is_enough(self) -> bool:
        return self.fields >= 0 and self.structure_bytes >= 0


def _is_within(content: bytes, kind: Descriptor, fields: int, structure_bytes: int) -> bool:
    """Whether a message is built of so few parts; of a damaged one, what comes before the damage.

    It is only walked through, from field to field, as parsing it would already take the time and the memory.
    """
    left = _Left(fields, structure_bytes=structure_bytes)
    _walk(content, 0, len(content), kind, left)
    return left.is_enough


def _walk(content: bytes, at: int, end: int, kind: Descriptor | None, left: _Left) -> None:
    known = kind.fields_by_number if kind is not None else {}
    while at < end and left.is_enough:
        start = at
        tag, at = _varint(content, at, end)
        left.fields -= 1
        wire_type = tag & 7
        if wire_type == _LENGTH:
            length, at = _varint(content, at, end)
            if at + length > end:
                left.structure_bytes -= end - start
                return  # it is damaged, and parsing ends there too
            found: FieldDescriptor | None = known.get(tag >> 3)
            if found is not None and found.message_type is not None:
                if length >= _SMALL_BYTES:
                    _walk(content, at, at + length, found.message_type, left)
                else:
                    left.structure_bytes -= length
            at += length
        elif wire_type == _VARINT:
            _, at = _varint(content, at, end)
            left.structure_bytes -= at - start
        elif wire_type in _FIXED_BYTES:
            at += _FIXED_BYTES[wire_type]
            left.structure_bytes -= at - start
        else:  # groups are of no message of ours
            left.structure_bytes -= end - start
            return


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at this place, and the place after it."""
    value, shift = 0, 0
    while at < end:
        byte = content[at]
        at += 1
        value |= (byte & ~_MORE) << shift
        if byte < _MORE or shift > 63:  # noqa: PLR2004  (bits)
            break
        shift += 7
    return value, at
