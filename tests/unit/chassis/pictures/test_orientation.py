"""Pictures are turned as browsers turn them; where viewers differ, the other way is searched, too."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from services.anonymizer.anonymization import anonymize
from services.anonymizer.redaction import Redaction
from services.chassis.pictures.picture import Picture, open_picture
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import (
    LOSSLESS,
    ORIENTATION_TAG,
    encode,
    png_chunk,
    smooth,
    turned,
    with_jpeg_segment,
    with_png_chunks,
    with_riff_chunks,
)

LIMITS = PictureLimits(max_bytes=1_000_000, max_pixels=100_000)
STORED = smooth(48, 32)
APP1 = 0xE1


def xmp(orientation: int) -> bytes:
    return f'<x:xmpmeta xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"/>'.encode()


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[ORIENTATION_TAG] = orientation
    return block.tobytes()


def entry(*, kind: int, count: int = 1) -> bytes:
    """EXIF whose orientation is 6, told by a number of that TIFF type."""
    header = b"Exif\0\0II*\0\x08\0\0\0\x01\0"
    return header + struct.pack("<HHII", ORIENTATION_TAG, kind, count, 0x00060006 if count > 1 else 6) + bytes(4)


def looks_stored(picture: Picture) -> bool:
    pixels = picture.rgb()
    return pixels.shape == (32, 48, 3) and float(np.abs(pixels - np.asarray(STORED, np.int64)).mean()) < 8


def heif(orientation: int, *, own: bool) -> bytes:
    """With EXIF's orientation, and that of its own, which counts, if asked for."""
    pillow_heif.register_heif_opener()
    content = encode(STORED, "HEIF", exif=exif(orientation), quality=95, chroma=444)
    return content if own else content.replace(b"irot", b"free").replace(b"imir", b"free")


def tiff_with_xmp(orientation: int) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[700] = xmp(orientation)
    tags.tagtype[700] = 1
    return encode(STORED, "TIFF", tiffinfo=tags)


def raw_profile(kind: bytes) -> bytes:
    """EXIF as text, as ImageMagick wrote it."""
    block = exif(6).hex()
    text = f"\nexif\n{len(block) // 2}\n{block}\n".encode()
    return png_chunk(kind, b"Raw profile type exif\0" + (b"\0" + zlib.compress(text) if kind == b"zTXt" else text))


LOSSLESS_WEBP = LOSSLESS["WEBP"]
UNHEEDED: dict[str, Callable[[], bytes]] = {
    "XMP in JPEG": lambda: encode(STORED, "JPEG", xmp=xmp(6), quality=95),
    "XMP in PNG": lambda: with_png_chunks(
        encode(STORED, "PNG"), png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6))
    ),
    "XMP in WebP": lambda: encode(STORED, "WEBP", xmp=xmp(6), **LOSSLESS_WEBP),
    "XMP in TIFF": lambda: tiff_with_xmp(6),
    "XMP that mirrors a TIFF": lambda: tiff_with_xmp(2),
    "EXIF in HEIF": lambda: heif(6, own=False),
    "EXIF as text": lambda: with_png_chunks(encode(STORED, "PNG"), raw_profile(b"tEXt")),
    "EXIF as packed text": lambda: with_png_chunks(encode(STORED, "PNG"), raw_profile(b"zTXt")),
    "32-bit number": lambda: with_jpeg_segment(encode(STORED, "JPEG", quality=95), APP1, entry(kind=4)),
}
ALONE: dict[str, Callable[[], bytes]] = {
    "second EXIF block": lambda: with_jpeg_segment(
        with_jpeg_segment(encode(STORED, "JPEG", quality=95), APP1, exif(6)), APP1, exif(1)
    ),
    "second chunk": lambda: with_png_chunks(
        encode(STORED, "PNG"), png_chunk(b"eXIf", exif(1)[6:]) + png_chunk(b"eXIf", exif(6)[6:])
    ),
    "XMP beside EXIF": lambda: encode(STORED, "JPEG", xmp=xmp(6), exif=exif(1), quality=95),
}


@pytest.mark.parametrize("kind", [*UNHEEDED, *ALONE])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Metadata Warning")
def test_what_no_browser_heeds_turns_nothing(kind: str) -> None:
    content = {**UNHEEDED, **ALONE}[kind]()
    picture = open_picture(content, LIMITS)
    assert (picture.width_px, picture.height_px) == STORED.size
    assert looks_stored(picture)
    assert looks_stored(open_picture(anonymize(content, [], Redaction(), limits=LIMITS).content, LIMITS))


@pytest.mark.parametrize("kind", UNHEEDED)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Metadata Warning")
def test_what_another_viewer_may_heed_is_searched_as_well(kind: str) -> None:
    shown, turned_look = open_picture(UNHEEDED[kind](), LIMITS).looks()
    mirrored = "mirrors" in kind
    way = Image.Transpose.FLIP_LEFT_RIGHT if mirrored else Image.Transpose.ROTATE_270
    assert np.array_equal(turned_look.rgb(), np.asarray(Image.fromarray(shown.rgb()).transpose(way)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_webp_is_searched_turned_and_as_it_is_stored(orientation: int) -> None:
    upright = smooth(48, 32)
    looks = open_picture(turned(upright, orientation, "WEBP", **LOSSLESS_WEBP), LIMITS).looks()
    stored = Image.open(io.BytesIO(turned(upright, orientation, "WEBP", **LOSSLESS_WEBP))).convert("RGB")
    assert np.array_equal(looks[0].rgb(), np.asarray(upright))
    assert np.array_equal(looks[-1].rgb(), np.asarray(stored))
    assert len(looks) == (1 if orientation == 1 else 2)


def test_first_block_of_exif_counts() -> None:
    content = with_jpeg_segment(encode(STORED, "JPEG", quality=95), APP1, exif(1))
    assert open_picture(with_jpeg_segment(content, APP1, exif(6)), LIMITS).orientation == 6


def test_first_exif_chunk_of_a_webp_counts() -> None:
    content = encode(STORED, "WEBP", exif=exif(6), **LOSSLESS_WEBP)
    assert open_picture(with_riff_chunks(content, (b"EXIF", exif(1)[6:])), LIMITS).orientation == 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heif_that_says_it_twice_is_shown_in_one_way(orientation: int) -> None:
    assert len(open_picture(heif(orientation, own=True), LIMITS).looks()) == 1


@settings(deadline=None)
@given(block=st.binary(max_size=80), order=st.sampled_from([b"II*\0", b"MM\0*"]))
@pytest.mark.filterwarnings("ignore")
def test_no_exif_is_too_strange_to_be_passed_over(block: bytes, order: bytes) -> None:
    content = with_jpeg_segment(encode(STORED, "JPEG"), APP1, b"Exif\0\0" + order + block)
    assert open_picture(content, LIMITS).orientation in range(1, 9)
