"""Chunks of a PNG file, read without decoding it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

_SIGNATURE_BYTES, _FRAME_BYTES = 8, 12
_PIXELS = b"IDAT"


def first_chunks(content: bytes, kinds: Iterable[bytes], *, before_pixels: bool) -> Mapping[bytes, bytes]:
    """The data of the first chunk of each of these kinds; what is damaged does not count.

    Args:
        content: A PNG file.
        kinds: Names of chunks.
        before_pixels: Whether those behind the beginning of the pixels count as absent.
    """
    wanted = {kind for kind in kinds if before_pixels or kind in content}
    found: dict[bytes, bytes] = {}
    at = _SIGNATURE_BYTES
    while wanted and at + _FRAME_BYTES <= len(content):
        size = int.from_bytes(content[at : at + 4])
        kind, data = content[at + 4 : at + 8], at + 8
        if kind == _PIXELS and before_pixels:
            break
        if kind in wanted and zlib.crc32(content[data - 4 : data + size]) == int.from_bytes(
            content[data + size : data + size + 4]
        ):
            found[kind] = content[data : data + size]
            wanted.discard(kind)
        at = data + size + 4
    return found
