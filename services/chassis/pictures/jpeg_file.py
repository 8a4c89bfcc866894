"""How a JPEG file is put together: what viewers overlook is left out, what none of them shows is named.

Source: ITU-T T.81, annex B (markers and segments).
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from services.chassis.errors import InvalidPicture

START, END = b"\xff\xd8", b"\xff\xd9"

_FIRST_MARKER = re.compile(rb"\xff+([^\xff])")
_MOST_SEGMENTS = 4096
_FRAME_KINDS = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_DECODED_KINDS = (0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA)  # sequential, progressive and lossless ones of libjpeg-turbo
_LOSSLESS = 0xC3
_COMPONENTS = (1, 3, 4)
_ALONE = (0x00, 0x01, *range(0xD0, 0xD9))  # no marker; of arithmetic coding, restarts, a start: without a segment
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA
_APP0, _APP2, _APP14 = 0xE0, 0xE2, 0xEE
_ICC = b"ICC_PROFILE\0"
_LEAST_PAYLOADS = {_APP0: (b"JFIF\0", 14), _APP2: (_ICC, 15), _APP14: (b"Adobe", 12)}
"""Shorter ones say nothing and are overlooked by libjpeg, but not by Pillow."""
_ZEROS_BEHIND = re.compile(rb"[\0\xff]{16,}\Z")  # of a file whose end has not been written
_COEFFICIENTS = 64
_STRIP_ROWS = 256
_FILLER = bytes(1 + (position * 73) % 251 for position in range(4096))  # no marker; decodes to something else than grey

_CUT = "the picture is damaged, truncated before its last pixels; send the whole file"


@dataclass(frozen=True, slots=True, kw_only=True)
class MendedJpeg:
    """A file that keeps the rules."""

    content: bytes
    end_missing: bool
    """Whether its end was not there, and was put there: its last pixels may not be there, either."""


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    start: int
    """Of its marker."""
    end: int

    def payload(self, content: bytes) -> bytes:
        return content[self.start + 4 : self.end]


def mended_jpeg(content: bytes) -> MendedJpeg:
    """The file without what stands between its segments, with one start and an end.

    Raises:
        InvalidPicture: It is of a kind that cannot be decoded; the message says which.
    """
    segments = list(_header(content))
    if not segments or segments[-1].marker != _START_OF_SCAN:
        return MendedJpeg(content=content, end_missing=False)  # damaged: its decoder will say so
    for segment in segments:
        if segment.marker in _FRAME_KINDS:
            _check_frame(segment.marker, segment.payload(content))
    scan = segments.pop()
    kept = [segment for segment in segments if not _says_nothing(segment, content)]
    if sum(segment.end - segment.start for segment in kept) != scan.start - len(START):
        parts = (content[segment.start : segment.end] for segment in kept)
        header = b"".join((START, *parts))
        content, scan_at = header + content[scan.start :], len(header)
    else:
        scan_at = scan.start
    if content.endswith(END) or content.find(END, scan_at) >= 0:
        return MendedJpeg(content=content, end_missing=False)
    nothing = _ZEROS_BEHIND.search(content, scan_at)
    content = content[: nothing.start()] if nothing else content.rstrip(b"\xff")
    return MendedJpeg(content=content + END, end_missing=True)


def _header(content: bytes) -> Iterator[_Segment]:
    """The segments up to the first scan's; ends early where the file is damaged."""
    at = len(START)
    for _ in range(_MOST_SEGMENTS):
        found = _FIRST_MARKER.search(content, at)
        if not found:
            return
        marker, at = found[1][0], found.end()
        if marker in _ALONE:
            continue
        size = int.from_bytes(content[at : at + 2])
        end = at + size
        if marker == _END_OF_IMAGE or size < 2 or end > len(content):  # noqa: PLR2004  (a size counts itself)
            return
        yield _Segment(marker, at - 2, end)
        if marker == _START_OF_SCAN:
            return
        at = end


def _says_nothing(segment: _Segment, content: bytes) -> bool:
    name, least = _LEAST_PAYLOADS.get(segment.marker, (b"", 0))
    return segment.end - segment.start - 4 < least and segment.payload(content).startswith(name)


def _check_frame(kind: int, payload: bytes) -> None:
    if len(payload) < 6:  # noqa: PLR2004  (its fields before those of each component)
        return
    bits, height_px, components = payload[0], int.from_bytes(payload[1:3]), payload[5]
    if kind not in _DECODED_KINDS:
        reason = f"a JPEG of kind SOF{kind - 0xC0}, which browsers cannot show"
    elif bits != 8:  # noqa: PLR2004
        reason = f"a JPEG of {bits} bits a sample, which browsers cannot show"
    elif components not in _COMPONENTS:
        reason = f"a JPEG of {components} components; 1, 3 or 4 are accepted"
    elif not height_px:
        reason = "a JPEG that gives no height in its header"
    else:
        return
    raise InvalidPicture(f"this is {reason}: save it again as an ordinary JPEG, or as PNG")


def has_icc_profile(segments: Sequence[tuple[str, bytes]]) -> bool:
    """Whether any of a JPEG's segments calls itself part of a colour profile."""
    return any(name == "APP2" and payload.startswith(_ICC) for name, payload in segments)


def icc_profile(segments: Sequence[tuple[str, bytes]]) -> bytes | None:
    """The profile that lies in a JPEG's APP2 segments; None where there is none, or a part is missing or there twice.

    Source: ICC.1:2022, annex B.4, and libjpeg-turbo's `jpeg_read_icc_profile`.

    Args:
        segments: All APPn segments by name, as Pillow's `applist` has them.
    """
    parts: dict[int, bytes] = {}
    counts = set()
    for name, payload in segments:
        if name == "APP2" and payload.startswith(_ICC):
            number, count = payload[len(_ICC)], payload[len(_ICC) + 1]
            if number in parts:
                return None
            parts[number] = payload[len(_ICC) + 2 :]
            counts.add(count)
    if counts != {len(parts)} or set(parts) != set(range(1, len(parts) + 1)):
        return None
    return b"".join(parts[number] for number in sorted(parts))


def check_whole(content: bytes) -> None:
    """Decodes a JPEG whose end was missing, to see whether its last pixels are there. Holds the picture once.

    A decoder that has all pixels overlooks what follows them; one that misses some takes it for them. So the picture
    is decoded twice, with other bytes behind it.

    Raises:
        InvalidPicture: They are not.
    """
    if not _scans_complete(content) or _checksum(content) != _checksum(content.removesuffix(END) + _FILLER + END):
        raise InvalidPicture(_CUT)


def _scans_complete(content: bytes) -> bool:
    """Whether there is a scan for all that a JPEG's frame announces, to the last bit."""
    segments = list(_header(content))
    frame = next((s for s in segments if s.marker in _FRAME_KINDS), None)
    if frame is None:
        return False
    components = frame.payload(content)[6::3]
    missing_bits = {component: [-1] * _COEFFICIENTS for component in components}
    at = segments[-1].start
    while at >= 0:
        count = content[at + 4]
        parameters = content[at + 5 : at + 5 + 2 * count + 3]
        if len(parameters) < 2 * count + 3:
            return False
        first, last, approximation = parameters[2 * count :]
        if frame.marker == _LOSSLESS:
            first, last, approximation = 0, _COEFFICIENTS - 1, 0
        for component in parameters[: 2 * count : 2]:
            if component in missing_bits:
                missing_bits[component][first : last + 1] = [approximation & 15] * (last + 1 - first)
        at = content.find(bytes((0xFF, _START_OF_SCAN)), at + 2)
    return all(bits == 0 for of_component in missing_bits.values() for bits in of_component)


def _checksum(content: bytes) -> int:
    image = Image.open(io.BytesIO(content), formats=("JPEG",))
    checksum = 0
    for top in range(0, image.height, _STRIP_ROWS):
        strip = image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height)))
        checksum = zlib.crc32(strip.tobytes(), checksum)
    return checksum
