"""How a file says that its picture is to be turned, and who heeds it.

What is shown is what Chromium 156 shows, but for two places: it heeds no EXIF in WebP, and none behind the pixels of a
PNG. There other viewers turn the picture, and so does Facet.

| said by | heeded by browsers | by Facet |
|---|---|---|
| EXIF in JPEG: the first block, its first entry, one 16-bit number | yes | yes |
| EXIF in PNG (eXIf) before the pixels | yes | yes |
| EXIF in PNG behind the pixels, EXIF in WebP | some | yes |
| EXIF as text in PNG ("Raw profile type exif") | no | no |
| TIFF's own tag | no browser shows TIFF; viewers do | yes |
| HEIF's irot and imir | yes | yes |
| EXIF in HEIF | no (ISO/IEC 23008-12, Annex A; macOS until 13 did) | no |
| XMP in any format | no | no |

Where somebody might turn a picture that browsers leave, or the other way round, it is searched both ways
(`other_orientation`).
"""

from __future__ import annotations

import re

from PIL import Image

from services.chassis.pictures.exif_block import ORIENTATION, read_exif
from services.chassis.pictures.png_chunks import first_chunks

UPRIGHT = 1
EXIF_IN_PNG = (b"eXIf", b"Raw profile type exif")
INVERSE = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
"""Turned as the one and then as the other, a picture is as it was."""

_TURNED_BY_DECODERS = ("TIFF", "HEIF")
_HEIF_TURNS = (b"irot", b"imir")
_XMP_TAG = 700
_XMP = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)([1-8])""")


def orientation(image: Image.Image, content: bytes) -> int:
    """How an opened file is to be turned when it has been decoded, as EXIF counts: 1 (not at all) to 8."""
    if image.format in _TURNED_BY_DECODERS:
        return UPRIGHT
    said = read_exif(image, content).short(ORIENTATION)
    return said if said in INVERSE else UPRIGHT


def other_orientation(image: Image.Image, content: bytes) -> int:
    """How some viewers turn the picture that is shown, as EXIF counts; 1 where all agree."""
    if image.format == "HEIF":  # whose decoder has taken EXIF's word away, and heeds the file's own
        said = UPRIGHT if any(box in content for box in _HEIF_TURNS) else image.info.get("original_orientation")
    elif (heeded := orientation(image, content)) != UPRIGHT:
        return INVERSE[heeded] if _heeded_by_some(image, content) else UPRIGHT
    else:
        said = _said_elsewhere(image, content)
    return said if isinstance(said, int) and said in INVERSE else UPRIGHT


def _heeded_by_some(image: Image.Image, content: bytes) -> bool:
    if image.format == "PNG":
        return not first_chunks(content, (b"eXIf",), before_pixels=True)
    return image.format == "WEBP"


def _said_elsewhere(image: Image.Image, content: bytes) -> int:
    """By XMP, or by EXIF that no browser heeds."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    if image.format == "TIFF" and ORIENTATION in tags:
        return UPRIGHT
    packets = (tags.get(_XMP_TAG), image.info.get("xmp"))
    found = [_XMP.search(packet) for packet in packets if isinstance(packet, bytes)]
    if said := next(filter(None, found), None):
        return int(said[1])
    if image.format == "TIFF" or (image.format == "PNG" and not any(kind in content for kind in EXIF_IN_PNG)):
        return UPRIGHT  # Pillow would decode all of a PNG to look at its end
    try:
        value = image.getexif().get(ORIENTATION, UPRIGHT)
    except Exception:  # noqa: BLE001  (a damaged block says nothing)
        return UPRIGHT
    return value if isinstance(value, int) else UPRIGHT
