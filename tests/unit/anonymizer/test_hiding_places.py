"""Bytes that no viewer shows, wherever a format has room for them, are not in the answer."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping

import pillow_heif
import pytest
from PIL import TiffImagePlugin

from services.anonymizer.anonymization import RE_ENCODED, anonymize
from services.anonymizer.encoding import AS_IT_CAME, Output
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.chassis.pictures.geometry import Box
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import (
    PNG_SIGNATURE,
    encode,
    multi_picture_jpeg,
    png_chunk,
    png_chunks,
    smooth,
    with_jpeg_segment,
    with_png_chunks,
    with_riff_chunks,
)
from tests.support.rare_jpegs import START, segment

LIMITS = PictureLimits(max_bytes=4_000_000, max_pixels=1_000_000)
FACE = Region(box=Box(x_min=30, y_min=20, x_max=60, y_max=50), landmarks={})
SECRET = b"Alice-lives-at-12-Example-Street-"
PICTURE = smooth(120, 80)
JPEG = encode(PICTURE, "JPEG", quality=90)
PROGRESSIVE = encode(PICTURE, "JPEG", quality=90, progressive=True)
RESTARTING = encode(PICTURE, "JPEG", quality=90, restart_marker_blocks=2)
PNG = encode(PICTURE, "PNG")
BMP = encode(PICTURE, "BMP")
TABLE = (SECRET * 2)[:64]


@pytest.fixture(autouse=True)
def heif_writer() -> None:
    """Pillow writes HEIF with it."""
    pillow_heif.register_heif_opener()


def before_scan(content: bytes, added: bytes) -> bytes:
    at = content.index(b"\xff\xda")
    return content[:at] + added + content[at:]


def before_last_scan(added: bytes) -> bytes:
    at = PROGRESSIVE.rindex(b"\xff\xc4")
    return PROGRESSIVE[:at] + added + PROGRESSIVE[at:]


def behind_pixels_of_png() -> bytes:
    chunks = [(kind, part + SECRET if kind == b"IDAT" else part) for kind, part in png_chunks(PNG)]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, part) for kind, part in chunks)


def before_pixels_of_bmp() -> bytes:
    start = int.from_bytes(BMP[10:14], "little")
    return BMP[:10] + (start + len(SECRET)).to_bytes(4, "little") + BMP[14:start] + SECRET + BMP[start:]


def private_tiff() -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[65000] = SECRET
    tags.tagtype[65000] = 7
    tags[330] = 8  # other directories
    return encode(PICTURE, "TIFF", tiffinfo=tags) + SECRET


def thumbnail_page_of_tiff() -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254], tags[270] = 1, SECRET.decode()
    thumbnail = PICTURE.resize((40, 27))
    thumbnail.encoderinfo = {"tiffinfo": tags}
    return encode(PICTURE, "TIFF", save_all=True, append_images=[thumbnail])


JFIF_WITH_THUMBNAIL = segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1" + bytes((11, 1)) + SECRET[:33])
PLACES: Mapping[str, Callable[[], bytes]] = {
    "thumbnail of JFIF": lambda: START + JFIF_WITH_THUMBNAIL + JPEG[20:],
    "extension of JFIF": lambda: with_jpeg_segment(JPEG, 0xE0, b"JFXX\0\x13\1\1" + SECRET),
    **{
        f"APP{number}": lambda number=number: with_jpeg_segment(JPEG, 0xE0 + number, SECRET)  # type: ignore[misc]
        for number in range(16)
    },
    "behind Adobe's values": lambda: with_jpeg_segment(JPEG, 0xEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET),
    "comment": lambda: with_jpeg_segment(JPEG, 0xFE, SECRET),
    "comment between scans": lambda: before_last_scan(segment(0xFE, SECRET)),
    "application's segment between scans": lambda: before_last_scan(segment(0xE1, SECRET)),
    "quantisation table of nothing": lambda: before_scan(JPEG, segment(0xDB, b"\3" + TABLE)),
    "Huffman table of nothing": lambda: before_scan(
        JPEG, segment(0xC4, b"\x03\0\0\0\0\0\0" + b"\x20" + bytes(9) + SECRET[:32])
    ),
    "arithmetic conditions of nothing": lambda: before_scan(JPEG, segment(0xCC, b"\0\x10" * 8)) + SECRET,
    "between segments": lambda: JPEG[:20] + SECRET + JPEG[20:],
    "between scans": lambda: before_last_scan(SECRET),
    "before a restart": lambda: RESTARTING.replace(b"\xff\xd0", SECRET + b"\xff\xd0", 1),
    "before the end of a JPEG": lambda: JPEG[:-2] + SECRET + JPEG[-2:],
    "behind the end of a JPEG": lambda: JPEG + SECRET,
    "behind a JPEG without an end": lambda: JPEG[:-2] + b"\0" * 40 + SECRET,
    "second picture of MPO": lambda: multi_picture_jpeg(PICTURE, PICTURE) + SECRET,
    "private chunk of PNG": lambda: with_png_chunks(PNG, png_chunk(b"prVt", SECRET)),
    "suggested palette of PNG": lambda: with_png_chunks(
        PNG, png_chunk(b"PLTE", SECRET[:33]) + png_chunk(b"sPLT", b"a\0\x08" + SECRET)
    ),
    "damaged chunk of PNG": lambda: with_png_chunks(PNG, png_chunk(b"tEXt", b"a\0" + SECRET)[:-1] + b"?"),
    "packed text of PNG": lambda: with_png_chunks(PNG, png_chunk(b"zTXt", b"a\0\0" + zlib.compress(SECRET, 0))),
    "behind the pixels of PNG": behind_pixels_of_png,
    "behind the end of PNG": lambda: PNG + SECRET,
    "name of PNG's profile": lambda: with_png_chunks(
        PNG, png_chunk(b"iCCP", SECRET + b"\0\0" + zlib.compress(SECRET, 0))
    ),
    "unknown chunk of WebP": lambda: with_riff_chunks(encode(PICTURE, "WEBP", exif=b"Exif\0\0"), (b"PRVT", SECRET)),
    "behind the end of WebP": lambda: encode(PICTURE, "WEBP") + SECRET,
    "before the pixels of BMP": before_pixels_of_bmp,
    "behind the end of BMP": lambda: BMP + SECRET,
    "reserved bytes of BMP": lambda: BMP[:6] + SECRET[:4] + BMP[10:],
    "private tag of TIFF": private_tiff,
    "thumbnail of TIFF": thumbnail_page_of_tiff,
    "between the parts of HEIF": lambda: (
        encode(PICTURE, "HEIF") + struct.pack(">I", 8 + len(SECRET)) + b"free" + SECRET
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("output", [AS_IT_CAME, Output(format=PictureFormat.PNG)], ids=["as it came", "PNG"])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_that_is_not_shown_is_answered(place: str, output: Output) -> None:
    content = PLACES[place]()
    answer = anonymize(content, [FACE], Redaction(), limits=LIMITS, output=output).content
    for at in range(len(SECRET) - 4):
        assert SECRET[at : at + 5] not in answer
    assert SECRET not in b"".join(_unpacked(answer))


def _unpacked(answer: bytes) -> list[bytes]:
    """What lies packed in a PNG beside its pixels."""
    if not answer.startswith(PNG_SIGNATURE):
        return []
    return [part for kind, part in png_chunks(answer) if kind != b"IDAT"]


def test_bytes_between_scans_are_gone_where_all_is_encoded_anew() -> None:
    done = anonymize(PLACES["between scans"](), [FACE], Redaction(), limits=LIMITS)
    assert done.notice in ("", RE_ENCODED)
    assert SECRET not in done.content
