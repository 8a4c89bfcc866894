"""What the numbers of a picture mean: the colour profile that its file holds, or one made of what else it says.

| file | what counts, the first that is there |
|---|---|
| PNG | cICP, iCCP, sRGB, gAMA and cHRM |
| JPEG, WebP, TIFF | ICC profile, EXIF's Adobe RGB |
| HEIF | ICC profile, nclx, EXIF's Adobe RGB |
| BMP | ICC profile |

A profile that cannot be read, or is of other colours than the pixels, counts as absent, as it does in browsers.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping

from PIL import Image, ImageCms

from services.chassis.pictures.colour_codes import (
    ADOBE_RGB_GAMMA,
    ADOBE_RGB_PRIMARIES,
    curve,
    primaries,
    says_srgb,
)
from services.chassis.pictures.exif_block import (
    COLOUR_SPACE,
    EXIF_DIRECTORY,
    INTEROPERABILITY_DIRECTORY,
    INTEROPERABILITY_INDEX,
    read_exif,
)
from services.chassis.pictures.icc_builder import Curve, Primaries, grey_profile, rgb_profile
from services.chassis.pictures.png_chunks import first_chunks

PNG_COLOUR_CHUNKS = (b"cICP", b"sRGB", b"gAMA", b"cHRM")
"""By which a PNG tells its colours in numbers alone."""
_SRGB_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SRGB_GAMMA = 45455
_SAME_CHROMATICITY, _SAME_GAMMA = 100, 1000  # of 100,000
_CHUNK_UNIT = 100_000
_MOST_GAMMA = 1 << 31
_RGB_OF_FULL_RANGE = bytes((0, 1))
_CAMERAS_CURVES = (1, 6, 14, 15)
_SRGB_CURVE = 13
_SIGNATURE, _SIGNATURE_AT, _SPACE_AT = b"acsp", 36, 16
_SPACES = {"L": (b"GRAY", b"RGB "), "RGB": (b"RGB ",), "CMYK": (b"CMYK",)}
_ADOBE_RGB_INDEX = b"R03"
_UNCALIBRATED = 0xFFFF
# Of a BITMAPV5HEADER, from the file's begin. Source: Microsoft, wingdi.h.
_BMP_SIZE_AT, _BMP_SPACE_AT, _BMP_PROFILE_AT = 14, 70, 126
_BMP_V5_BYTES = 124
_BMP_EMBEDDED = 0x4D424544


def colour_profile(image: Image.Image, content: bytes) -> bytes | None:
    """The ICC profile that tells an opened file's colours; None where it says nothing, or sRGB.

    Args:
        image: As Pillow opened it.
        content: The file.
    """
    grey = image.mode in ("1", "L", "LA", "La", "I;16", "I;16B")
    embedded = _usable(image.info.get("icc_profile"), image)
    match image.format:
        case "PNG":
            return _of_png(content, embedded, grey=grey)
        case "BMP":
            return _of_bmp(content, image)
        case _:
            nclx = image.info.get("nclx_profile")
            made = _of_nclx(nclx) if isinstance(nclx, Mapping) and not grey else None
            return embedded or made or (_of_exif(image, content) if not grey and image.mode != "CMYK" else None)


def _usable(profile: object, image: Image.Image) -> bytes | None:
    """The profile where it can be read and speaks of such pixels."""
    if not isinstance(profile, bytes) or profile[_SIGNATURE_AT : _SIGNATURE_AT + 4] != _SIGNATURE:
        return None
    channels = "CMYK" if image.mode == "CMYK" else "L" if image.mode[0] in "1LI" else "RGB"
    if profile[_SPACE_AT : _SPACE_AT + 4] not in _SPACES[channels]:
        return None
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except Exception:  # noqa: BLE001  (what cannot be read is none)
        return None
    return profile


def _of_png(content: bytes, embedded: bytes | None, *, grey: bool) -> bytes | None:
    """Source: PNG specification (third edition), 4.3 (which chunk goes before which) and 11.3.2."""
    chunks = first_chunks(content, PNG_COLOUR_CHUNKS, before_pixels=True)
    code = chunks.get(b"cICP", b"")
    if len(code) == 4 and code[2:] == _RGB_OF_FULL_RANGE:  # noqa: PLR2004  (bytes)
        return _made(primaries(code[0]), curve(code[1]), grey=grey) if not says_srgb(code[0], code[1]) else None
    if embedded or b"sRGB" in chunks:
        return embedded
    gamma, data = int.from_bytes(chunks.get(b"gAMA", b"")), chunks.get(b"cHRM", b"")
    if not 0 < gamma < _MOST_GAMMA:
        return None  # browsers heed no cHRM alone
    numbers = struct.unpack(">8I", data) if len(data) == 32 else _SRGB_CHROMATICITIES  # noqa: PLR2004  (bytes)
    plain = all(abs(a - b) <= _SAME_CHROMATICITY for a, b in zip(numbers, _SRGB_CHROMATICITIES, strict=True))
    if abs(gamma - _SRGB_GAMMA) <= _SAME_GAMMA and (plain or grey):
        return None
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    white, red, green, blue = ((x / _CHUNK_UNIT, y / _CHUNK_UNIT) for x, y in pairs)
    corners = Primaries(red=red, green=green, blue=blue, white=white)
    return _made(corners, _CHUNK_UNIT / gamma, grey=grey)


def _of_nclx(nclx: Mapping[str, object]) -> bytes | None:
    colours, transfer = nclx.get("color_primaries"), nclx.get("transfer_characteristics")
    if not isinstance(colours, int) or not isinstance(transfer, int):
        return None
    if transfer in _CAMERAS_CURVES:  # which encoders write without a thought, and viewers show as sRGB's
        transfer = _SRGB_CURVE
    if says_srgb(colours, transfer):
        return None
    return _made(primaries(colours), curve(transfer), grey=False)


def _of_exif(image: Image.Image, content: bytes) -> bytes | None:
    """Source: DCF 2.0 (JEITA CP-3461B): R03 is the option file of Adobe RGB; its ColorSpace is uncalibrated."""
    is_jpeg = image.format in (
        "JPEG",
        "MPO",
    )  # whose EXIF lies apart already: the rest, megabytes, need not be searched
    if _ADOBE_RGB_INDEX + b"\0" not in (image.info.get("exif", b"") if is_jpeg else content):
        return None
    details = read_exif(image, content).directory(EXIF_DIRECTORY)
    index = details.directory(INTEROPERABILITY_DIRECTORY).text(INTEROPERABILITY_INDEX)
    if index != _ADOBE_RGB_INDEX or details.short(COLOUR_SPACE) not in (None, _UNCALIBRATED):
        return None
    return rgb_profile(ADOBE_RGB_PRIMARIES, ADOBE_RGB_GAMMA)


def _of_bmp(content: bytes, image: Image.Image) -> bytes | None:
    size = int.from_bytes(content[_BMP_SIZE_AT : _BMP_SIZE_AT + 4], "little")
    space = int.from_bytes(content[_BMP_SPACE_AT : _BMP_SPACE_AT + 4], "little")
    if size >= _BMP_V5_BYTES and space == _BMP_EMBEDDED:
        offset, length = struct.unpack_from("<2I", content, _BMP_PROFILE_AT)
        start = _BMP_SIZE_AT + offset
        return _usable(content[start : start + length], image)
    return None


def _made(corners: Primaries, tone: Curve, *, grey: bool) -> bytes | None:
    return grey_profile(tone) if grey else rgb_profile(corners, tone)
