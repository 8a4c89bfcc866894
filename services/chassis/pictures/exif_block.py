"""The few entries of an EXIF block that tell how a picture is shown, read as browsers read them.

Pillow's reader also takes XMP's word, other types of numbers and blocks that browsers pass over.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from services.chassis.pictures.png_chunks import first_chunks

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x0112, 0x011A, 0x011B, 0x0128
EXIF_DIRECTORY, INTEROPERABILITY_DIRECTORY, INTEROPERABILITY_INDEX, COLOUR_SPACE = 0x8769, 0xA005, 1, 0xA001

_EXIF = b"Exif\0"
_MARKER_BYTES, _HEADER_BYTES, _ENTRY_BYTES = 6, 8, 12  # the marker's last byte may be any
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ASCII, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_SIZES = {_ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The entries of one directory, of each tag the first."""

    block: bytes
    order: str
    places: Mapping[int, int]
    """Of each tag, where its entry begins."""

    def short(self, tag: int) -> int | None:
        """One 16-bit number; None where there is none, or of another type."""
        return self._one(tag, _SHORT, "H")

    def directory(self, tag: int) -> Directory:
        """The directory that it points to; without entries where there is none."""
        at = self._one(tag, _LONG, "I")
        return Directory(block=self.block, order=self.order, places=_places(self.block, self.order, at or 0))

    def text(self, tag: int) -> bytes:
        """Up to its first zero."""
        return self._data(tag, _ASCII).partition(b"\0")[0]

    def ratio(self, tag: int) -> float | None:
        """One ratio of whole numbers."""
        data = self._data(tag, _RATIONAL)
        if len(data) != _SIZES[_RATIONAL]:
            return None
        over, under = struct.unpack(self.order + "2I", data)
        return over / under if under else None

    def _one(self, tag: int, kind: int, form: str) -> int | None:
        data = self._data(tag, kind)
        return int(struct.unpack(self.order + form, data)[0]) if len(data) == _SIZES[kind] else None

    def _data(self, tag: int, kind: int) -> bytes:
        """Empty where it is of another type."""
        if tag not in self.places:
            return b""
        found, count = struct.unpack_from(self.order + "HI", self.block, self.places[tag] + 2)
        size, at = count * _SIZES[kind], self.places[tag] + 8
        if found != kind:
            return b""
        if size > 4:  # noqa: PLR2004  (bytes: what does not fit in lies elsewhere)
            (at,) = struct.unpack_from(self.order + "I", self.block, at)
        return self.block[at : at + size]


def read_exif(image: Image.Image, content: bytes) -> Directory:
    """The first directory of an opened file's EXIF; without entries where there is no EXIF that can be read."""
    block = content if image.format == "TIFF" else _block(image, content)
    order = _BYTE_ORDERS.get(block[:4])
    if order is None or len(block) < _HEADER_BYTES:
        return Directory(block=b"", order="<", places={})
    (at,) = struct.unpack_from(order + "I", block, 4)
    return Directory(block=block, order=order, places=_places(block, order, at))


def _block(image: Image.Image, content: bytes) -> bytes:
    """EXIF's TIFF structure."""
    if image.format == "PNG":
        return first_chunks(content, (b"eXIf",), before_pixels=False).get(b"eXIf", b"")
    for marker, data in getattr(image, "applist", ()):  # of a JPEG
        if marker == "APP1" and data.startswith(_EXIF):
            return bytes(data[_MARKER_BYTES:])
    block = image.info.get("exif") if image.format in ("WEBP", "HEIF") else b""
    return block.removeprefix(b"Exif\0\0") if isinstance(block, bytes) else b""


def _places(block: bytes, order: str, at: int) -> Mapping[int, int]:
    if not _HEADER_BYTES <= at <= len(block) - 2:
        return {}
    (count,) = struct.unpack_from(order + "H", block, at)
    last = min(at + 2 + count * _ENTRY_BYTES, len(block) - _ENTRY_BYTES + 1)
    places: dict[int, int] = {}
    for entry in range(at + 2, last, _ENTRY_BYTES):
        places.setdefault(struct.unpack_from(order + "H", block, entry)[0], entry)
    return places
