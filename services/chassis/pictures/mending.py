"""Files that viewers show although they break their format's rules, made to keep them before anything is decoded.

A file that keeps them stays the same object. What is cut off stays cut off: its decoder refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.chassis.pictures import jpeg_file, png_file

_WEBP_HEADER_BYTES, _RIFF_BYTES, _CHUNK_HEADER_BYTES = 12, 8, 8
_WEBP_CHUNKS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """A file as decoders want it."""

    content: bytes
    end_missing: bool = False
    """Of a JPEG: whether its last pixels may not be there."""


def mended(content: bytes) -> Mended:
    """The file without the damage that viewers overlook.

    Raises:
        InvalidPicture: Of a kind that cannot be decoded, or damaged where the pixels are.
    """
    if content.startswith(jpeg_file.START):
        jpeg = jpeg_file.mended_jpeg(content)
        return Mended(content=jpeg.content, end_missing=jpeg.end_missing)
    if content.startswith(png_file.SIGNATURE):
        return Mended(content=png_file.mended_png(content))
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Mended(content=_mended_webp(content))
    return Mended(content=content)


def _mended_webp(content: bytes) -> bytes:
    """The file with the size that its chunks have together, where its header tells another.

    Source: WebP Container Specification (RIFF: chunks of even size, sizes little-endian).
    """
    at = _WEBP_HEADER_BYTES
    told = _RIFF_BYTES + int.from_bytes(content[4:8], "little")
    while at != told and content[at : at + 4] in _WEBP_CHUNKS:
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        end = at + _CHUNK_HEADER_BYTES + size + size % 2
        if at + _CHUNK_HEADER_BYTES + size > len(content):
            return content  # cut off
        at = end
    if at in (told, _WEBP_HEADER_BYTES) or at < told <= len(content):
        return content
    padding = bytes(max(0, at - len(content)))
    return content[:4] + (at - _RIFF_BYTES).to_bytes(4, "little") + content[8:at] + padding
