"""Puts the few markers that an answer keeps into a JPEG: a minimal EXIF block, the colour profile, the density."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from services.anonymizer.appearance import Density

_START_OF_IMAGE = b"\xff\xd8"
_APP1, _APP2 = 0xE1, 0xE2
_FIRST_SEGMENTS = (b"\xff\xe0", b"\xff\xee")  # JFIF and Adobe, which decoders look for at the start
_MAX_PAYLOAD = 0xFFFF - 2
_ICC = b"ICC_PROFILE\0"
_DENSITY_AT, _INCH = 13, 1


def with_markers(jpeg: bytes, *, exif: bytes, icc_profile: bytes | None) -> bytes:
    """The file with both, where they are not empty.

    Source: ICC.1:2022, annex B.4 (a profile in chunks); Exif 2.32, 4.5.2.
    """
    at = len(_START_OF_IMAGE)
    while jpeg[at : at + 2] in _FIRST_SEGMENTS:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    segments = [_segment(_APP1, exif)] if exif else []
    segments += [_segment(_APP2, chunk) for chunk in _icc_chunks(icc_profile or b"")]
    return b"".join([jpeg[:at], *segments, jpeg[at:]])


def has_jfif(jpeg: bytes) -> bool:
    """Whether a file as libjpeg writes it has a place for a density."""
    return jpeg[len(_START_OF_IMAGE) :].startswith(_FIRST_SEGMENTS[0]) and jpeg[6:11] == b"JFIF\0"


def with_density(jpeg: bytes, density: Density) -> bytes:
    """The file, which has JFIF's segment, with that many pixels an inch. Source: JFIF 1.02 (ITU-T T.871), 10.1."""
    return jpeg[:_DENSITY_AT] + struct.pack(">B2H", _INCH, *map(round, density)) + jpeg[_DENSITY_AT + 5 :]


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2) + payload


def _icc_chunks(profile: bytes) -> Iterator[bytes]:
    size = _MAX_PAYLOAD - len(_ICC) - 2
    chunks = [profile[start : start + size] for start in range(0, len(profile), size)]
    for number, chunk in enumerate(chunks, 1):
        yield _ICC + bytes((number, len(chunks))) + chunk
