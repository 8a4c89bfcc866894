"""How a PNG file is put together: chunks that viewers overlook are left out, and damage of its pixels is told.

Source: PNG specification (third edition), chapters 5, 11 and 13.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from services.chassis.errors import InvalidPicture

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_FRAME_BYTES = 12  # a chunk's length, name and checksum
_ANCILLARY = 0x20
_MOST_CHUNKS = 1 << 17
_MOST_TEXT_BYTES = 1 << 20  # Pillow's limits
_MOST_TEXTS_BYTES = 1 << 26
_SIZES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9, b"tIME": 7, b"acTL": 8, b"fcTL": 26}
_TRANSPARENT_COLOUR_BYTES = {0: 2, 2: 6}  # by colour type; of a palette, one for each of some colours
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_COLOUR_TYPE_AT = 25
_UNREADABLE_PROFILE = b"\0\0\0\x02iCCP\0\0" + zlib.crc32(b"iCCP\0\0").to_bytes(4)


def mended_png(content: bytes) -> bytes:
    """The file without the ancillary chunks that are damaged.

    A colour profile's gives way to one that is there and says nothing.

    Raises:
        InvalidPicture: A chunk that makes the picture is damaged, or there are absurdly many.
    """
    parts, kept_from = [], 0
    texts_bytes = 0
    for kind, start, end in _chunks(content):
        if not kind[0] & _ANCILLARY:
            if kind != b"IEND" and not _intact(content, start, end):
                raise InvalidPicture("the picture is damaged: a checksum of its PNG file is wrong; send it again")
            continue
        size = _unpacked_size(kind, content[start + 8 : end - 4]) if kind in (*_TEXTS, b"iCCP") else 0
        texts_bytes += size if kind in _TEXTS else 0
        readable = size <= _MOST_TEXT_BYTES and texts_bytes <= _MOST_TEXTS_BYTES
        if not (readable and _intact(content, start, end) and _sound(kind, content, start, end)):
            parts.append(content[kept_from:start])
            if kind == b"iCCP":
                parts.append(_UNREADABLE_PROFILE)
            kept_from = end
    return b"".join((*parts, content[kept_from:])) if kept_from else content


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk that is there as a whole."""
    at = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        end = at + _FRAME_BYTES + int.from_bytes(content[at : at + 4])
        if end > len(content):
            return
        kind = content[at + 4 : at + 8]
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end
    raise InvalidPicture("the PNG file has too many chunks; save it again")


def _intact(content: bytes, start: int, end: int) -> bool:
    return zlib.crc32(memoryview(content)[start + 4 : end - 4]) == int.from_bytes(content[end - 4 : end])


def _sound(kind: bytes, content: bytes, start: int, end: int) -> bool:
    """Whether an ancillary chunk has the size it has to have, and is of an animation only where there is one."""
    size = end - start - _FRAME_BYTES
    if kind in (b"acTL", b"fcTL") and b"fdAT" not in content:
        return False
    if kind == b"tRNS":
        colour_bytes = _TRANSPARENT_COLOUR_BYTES.get(content[_COLOUR_TYPE_AT])
        return size == colour_bytes if colour_bytes else 1 <= size <= 256  # noqa: PLR2004  (colours of a palette)
    return size == _SIZES.get(kind, size)


def _unpacked_size(kind: bytes, data: bytes) -> int:
    """How large a text or a profile is, unpacked; beyond the limit where it cannot be read."""
    _, separator, value = data.partition(b"\0")
    beyond = _MOST_TEXT_BYTES + 1
    packed = kind in (b"zTXt", b"iCCP") or (kind == b"iTXt" and value[:1] == b"\1")
    if not separator:
        return 0  # Pillow takes it for an empty text
    if not packed:
        return 0 if kind == b"tEXt" else min(len(value), _MOST_TEXT_BYTES)
    if kind == b"iTXt":
        method, value = value[1:2], value[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        method, value = value[:1], value[1:]
    if method != b"\0":
        return beyond
    try:
        decompressor = zlib.decompressobj()
        unpacked = decompressor.decompress(value, _MOST_TEXT_BYTES)
    except zlib.error:
        return 0  # Pillow takes it for an empty one
    return beyond if decompressor.unconsumed_tail else len(unpacked)
