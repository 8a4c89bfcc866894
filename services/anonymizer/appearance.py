"""What of a file tells how its pixels are to be shown, and so stays: its colours and its density."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from services.chassis.pictures.colour import PNG_COLOUR_CHUNKS, colour_profile
from services.chassis.pictures.exif_block import RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION, read_exif
from services.chassis.pictures.icc import clean_profile
from services.chassis.pictures.picture import Picture
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.pictures.png_chunks import first_chunks

Density = tuple[float, float]
"""Pixels an inch, across and down."""

_CHUNK_BYTES = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
_CM_AN_INCH = 2.54
_INCH, _CENTIMETRE = 2, 3
_MOST_DPI = 65_535
_JFIF_UNITS = (1, 2)
_FIRST_TRANSPOSED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """How an answer's pixels are to be shown."""

    icc_profile: bytes | None
    png_chunks: Mapping[bytes, bytes]
    """Numbers that tell a PNG's colours, where it is answered as PNG."""
    density: Density | None
    """Of the upright picture."""


def appearance(source: Picture, target: PictureFormat) -> Appearance:
    """What to write into an answer of that format.

    Colours that the source tells in another way than by an ICC profile become one, but from PNG to PNG.
    """
    header = source.header()
    density = stored_density(header, source.content)
    stored_as = header.tag_v2.get(0x0112, 1) if header.format == "TIFF" else source.orientation  # type: ignore[attr-defined]
    if density and stored_as >= _FIRST_TRANSPOSED:
        density = density[::-1]
    if source.format is target is PictureFormat.PNG:
        found = first_chunks(source.content, PNG_COLOUR_CHUNKS, before_pixels=True)
        chunks = {kind: data for kind, data in found.items() if len(data) == _CHUNK_BYTES[kind]}
        return Appearance(icc_profile=_embedded(header), png_chunks=chunks, density=density)
    return Appearance(icc_profile=icc_profile(header, source.content), png_chunks={}, density=density)


def icc_profile(header: Image.Image, content: bytes) -> bytes | None:
    """The profile that an opened file holds, or one made of what else it says of its colours, rebuilt."""
    return _rebuilt(colour_profile(header, content), header) or _embedded(header)


def _embedded(header: Image.Image) -> bytes | None:
    return _rebuilt(header.info.get("icc_profile"), header)


def _rebuilt(profile: object, header: Image.Image) -> bytes | None:
    channels = "CMYK" if header.mode == "CMYK" else "L" if header.mode[0] in "1LI" else "RGB"
    return clean_profile(profile, channels=channels)


def stored_density(header: Image.Image, content: bytes) -> Density | None:
    """Of the stored picture; None where the file tells none in units of length."""
    told_by_header = header.format in ("PNG", "BMP") or header.info.get("jfif_unit") in _JFIF_UNITS
    density = header.info.get("dpi") if told_by_header else _by_exif(header, content)
    if not density or not all(math.isfinite(value) and 1 <= value <= _MOST_DPI for value in density):
        return None
    return float(density[0]), float(density[1])


def _by_exif(header: Image.Image, content: bytes) -> Density | None:
    exif = read_exif(header, content)
    across, down = exif.ratio(X_RESOLUTION), exif.ratio(Y_RESOLUTION)
    unit = exif.short(RESOLUTION_UNIT) or _INCH
    if not across or not down or unit not in (_INCH, _CENTIMETRE):
        return None
    scale = _CM_AN_INCH if unit == _CENTIMETRE else 1.0
    return across * scale, down * scale
