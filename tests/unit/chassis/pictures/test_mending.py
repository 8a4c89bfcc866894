"""Files that viewers show although they break their format's rules are shown; what is cut off is refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from PIL import TiffImagePlugin

from services.chassis.errors import InvalidPicture
from services.chassis.pictures.mending import mended
from services.chassis.pictures.picture import open_picture
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import (
    PNG_SIGNATURE,
    decode,
    encode,
    noise,
    png_chunk,
    png_chunks,
    smooth,
    tiff_with_pages,
    with_png_chunks,
)
from tests.support.profiles import LCMS_SRGB
from tests.support.rare_jpegs import END, START, as_kind, lossless_jpeg, segment, with_frame_byte

LIMITS = PictureLimits(max_bytes=8_000_000, max_pixels=1_000_000)
PICTURE = smooth(120, 80)
JPEG = encode(PICTURE, "JPEG", quality=90)
PROGRESSIVE = encode(PICTURE, "JPEG", quality=90, progressive=True)
PNG = encode(PICTURE, "PNG")
WEBP = encode(PICTURE, "WEBP", quality=80)
JFIF_END = 20


def seen(content: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return open_picture(content, LIMITS).rgb()


def at_start(*segments: bytes) -> bytes:
    return START + b"".join(segments) + JPEG[2:]


def wrong(chunk: bytes) -> bytes:
    """With a wrong checksum."""
    return chunk[:-1] + bytes((chunk[-1] ^ 1,))


def riff_size(change: int) -> bytes:
    return WEBP[:4] + struct.pack("<I", max(0, len(WEBP) - 8 + change)) + WEBP[8:]


ODD_JPEGS = {
    "two starts": START + JPEG,
    "three starts": START + START + JPEG,
    "a start behind the first segment": JPEG[:JFIF_END] + START + JPEG[JFIF_END:],
    "no end": JPEG[:-2],
    "half an end": JPEG[:-1],
    "zeros instead of an end": JPEG[:-2] + bytes(4096),
    "no end, progressive": PROGRESSIVE[:-2],
    "bytes behind the end": JPEG + b"trailing" * 100,
    "fill bytes": START + b"\xff" * 9 + JPEG[2:],
    "fill bytes before the end": JPEG[:-2] + b"\xff" * 9 + END,
    "bytes between segments": JPEG[:JFIF_END] + b"\0\1\2" + JPEG[JFIF_END:],
    "a segment that is longer than it says": at_start(segment(0xE5, b"abcdefgh", size=6)),
    "an empty comment": at_start(segment(0xFE, b"")),
    "part of a profile that says nothing": at_start(segment(0xE2, b"ICC_PROFILE\0")),
    "part of a profile without a count": at_start(segment(0xE2, b"ICC_PROFILE\0\1")),
    "a short JFIF": START + segment(0xE0, b"JFIF\0") + JPEG[JFIF_END:],
    "a short Adobe": at_start(segment(0xEE, b"Adobe")),
    "no JFIF": START + JPEG[JFIF_END:],
    "EXIF that is none": at_start(segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"1" * 30)),
    "a second picture that is none": at_start(segment(0xE2, b"MPF\0II*\0\xff\xff\xff\x7f" + b"1" * 30)),
    "Photoshop's block cut off": at_start(segment(0xED, b"Photoshop 3.0\x008BIM\x03")),
    "a private marker without a segment": START + b"\xff\x01" + JPEG[2:],
    "a restart before the picture": START + b"\xff\xd0" + JPEG[2:],
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ODD_JPEGS)
def test_jpeg_that_is_put_together_oddly_is_seen_whole(kind: str) -> None:
    expected = decode(PROGRESSIVE if "progressive" in kind else JPEG)
    assert np.array_equal(seen(ODD_JPEGS[kind]), np.asarray(expected))


def test_large_jpeg_without_an_end_is_seen_at_reduced_scale() -> None:
    assert open_picture(JPEG[:-2], LIMITS).rgb(long_side_px=30).shape == (20, 30, 3)


@pytest.mark.parametrize(
    "whole", [JPEG, PROGRESSIVE, encode(noise(120, 80), "JPEG"), encode(PICTURE.convert("L"), "JPEG")]
)
@pytest.mark.parametrize("left", [0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("behind", [b"", bytes(5000), b"\xff"], ids=["nothing", "zeros", "half a marker"])
def test_jpeg_that_is_cut_off_is_refused(whole: bytes, left: float, behind: bytes) -> None:
    with pytest.raises(InvalidPicture, match="damaged, truncated"):
        seen(whole[: int(left * len(whole))] + behind)


def test_progressive_jpeg_without_its_last_scan_is_refused() -> None:
    with pytest.raises(InvalidPicture, match="damaged, truncated"):
        seen(PROGRESSIVE[: PROGRESSIVE.rindex(b"\xff\xc4")])


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossless_jpeg_is_seen_without_loss(mode: str) -> None:
    image = noise(50, 40, mode)
    assert np.array_equal(seen(lossless_jpeg(image)), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("kind", [0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF])
def test_jpeg_of_a_kind_that_nothing_decodes_is_refused_by_its_name(kind: int) -> None:
    with pytest.raises(InvalidPicture, match=f"kind SOF{kind - 0xC0}, which browsers cannot show: save it again"):
        open_picture(as_kind(JPEG, kind), LIMITS)


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [(0, 12, "12 bits a sample"), (0, 16, "16 bits a sample"), (5, 2, "2 components"), (5, 5, "5 components")],
)
def test_jpeg_that_nothing_decodes_is_refused_with_its_reason(place: int, value: int, reason: str) -> None:
    with pytest.raises(InvalidPicture, match=f"{reason}.*save it again"):
        open_picture(with_frame_byte(JPEG, place, value), LIMITS)


def test_jpeg_whose_height_follows_its_pixels_is_refused_with_its_reason() -> None:
    with pytest.raises(InvalidPicture, match="no height in its header: save it again"):
        open_picture(with_frame_byte(with_frame_byte(JPEG, 1, 0), 2, 0), LIMITS)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", range(0xC0, 0xD0))
def test_no_kind_of_jpeg_raises_anything_else(kind: int) -> None:
    with suppress(InvalidPicture):
        seen(as_kind(JPEG, kind))


@pytest.mark.parametrize("content", [JPEG, PROGRESSIVE, PNG, WEBP, encode(PICTURE, "BMP"), encode(PICTURE, "TIFF")])
def test_file_that_keeps_the_rules_is_not_copied(content: bytes) -> None:
    assert mended(content).content is content


def in_segments(order: str, *, count: int = 3) -> bytes:
    """JPEG with its profile in three segments of these numbers."""
    third = len(LCMS_SRGB) // 3 + 1
    parts = {str(n): LCMS_SRGB[(n - 1) * third : n * third] for n in (1, 2, 3)}
    return at_start(
        *(segment(0xE2, b"ICC_PROFILE\0" + bytes((int(number), count)) + parts[number]) for number in order)
    )


@pytest.mark.parametrize(
    ("order", "count", "whole"),
    [("123", 3, True), ("312", 3, True), ("12", 3, False), ("1223", 3, False), ("123", 4, False), ("123", 2, False)],
)
def test_profile_in_segments_is_put_together_or_none(order: str, count: int, whole: bool) -> None:  # noqa: FBT001
    header = open_picture(in_segments(order, count=count), LIMITS).header()
    assert header.info["icc_profile"] == (LCMS_SRGB if whole else None)


# PNG

TEXT = png_chunk(b"tEXt", b"Comment\0of a camera")
ODD_ANCILLARY: dict[str, bytes] = {
    "text with a wrong checksum": wrong(TEXT),
    "gamma with a wrong checksum": wrong(png_chunk(b"gAMA", struct.pack(">I", 45455))),
    "private chunk with a wrong checksum": wrong(png_chunk(b"prVt", b"abc")),
    "short gamma": png_chunk(b"gAMA", b"\0"),
    "short chromaticities": png_chunk(b"cHRM", b"\0"),
    "empty sRGB": png_chunk(b"sRGB", b""),
    "short density": png_chunk(b"pHYs", b"\0"),
    "empty transparency": png_chunk(b"tRNS", b""),
    "an animation of one picture": png_chunk(b"acTL", struct.pack(">II", 1, 0)),
    "an animation that is none": png_chunk(b"acTL", b""),
    "a frame that is none": png_chunk(b"fcTL", b"x"),
    "EXIF that is none": png_chunk(b"eXIf", b"x"),
    "text of millions of bytes": png_chunk(b"zTXt", b"C\0\0" + zlib.compress(bytes(3_000_000))),
    "text packed in an unknown way": png_chunk(b"zTXt", b"C\0\7abc"),
    "text that is not packed": png_chunk(b"zTXt", b"C\0\0abc"),
    "international text of millions of bytes": png_chunk(b"iTXt", b"C\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
    "profile of millions of bytes": png_chunk(b"iCCP", b"C\0\0" + zlib.compress(bytes(3_000_000))),
    "profile packed in an unknown way": png_chunk(b"iCCP", b"C\0\1abc"),
    "profile that is not packed": png_chunk(b"iCCP", b"C\0\0abc"),
}


@pytest.mark.parametrize("kind", ODD_ANCILLARY)
def test_png_with_a_damaged_chunk_beside_its_pixels_is_seen(kind: str) -> None:
    assert np.array_equal(seen(with_png_chunks(PNG, ODD_ANCILLARY[kind])), np.asarray(PICTURE))


@pytest.mark.parametrize("behind", [b"", b"trailing" * 40])
def test_png_with_damage_behind_its_pixels_is_seen(behind: bytes) -> None:
    content = with_png_chunks(PNG, wrong(TEXT), before=b"IEND") + behind
    assert np.array_equal(seen(content), np.asarray(PICTURE))


def test_sound_chunks_of_a_mended_png_stay() -> None:
    content = mended(with_png_chunks(PNG, TEXT + wrong(TEXT))).content
    assert [kind for kind, _ in png_chunks(content)].count(b"tEXt") == 1


@pytest.mark.parametrize("damaged", [b"IHDR", b"IDAT"])
def test_png_with_a_wrong_checksum_where_its_pixels_are_is_refused(damaged: bytes) -> None:
    chunks = [png_chunk(kind, part) for kind, part in png_chunks(PNG)]
    content = PNG_SIGNATURE + b"".join(wrong(chunk) if chunk[4:8] == damaged else chunk for chunk in chunks)
    with pytest.raises(InvalidPicture, match="checksum"):
        open_picture(content, LIMITS)


def test_png_of_countless_chunks_is_refused_at_once() -> None:
    content = with_png_chunks(PNG, png_chunk(b"prVt", b"") * (1 << 17))
    with pytest.raises(InvalidPicture, match="too many chunks"):
        open_picture(content, LIMITS)


# WebP


@pytest.mark.parametrize("change", [-100, -2, 1, 2, 100, 1_000_000, -(1 << 31)])
def test_webp_whose_header_tells_another_size_is_seen(change: int) -> None:
    assert np.array_equal(seen(riff_size(change)), np.asarray(decode(WEBP).convert("RGB")))


@pytest.mark.parametrize(
    "make", [lambda half: half, lambda half: half[:4] + struct.pack("<I", len(half) - 8) + half[8:]]
)
def test_webp_that_is_cut_off_is_refused(make: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InvalidPicture, match="damaged, truncated"):
        seen(make(WEBP[: len(WEBP) // 2]))


# TIFF


def tiff(*kinds: int | None, old: bool = False, **options: object) -> bytes:
    """A TIFF of pages, the first of PICTURE, with what each says of its kind."""
    pages = []
    for index, kind in enumerate(kinds):
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        if kind is not None:
            tags[255 if old else 254] = kind
        page = PICTURE if index == 0 else PICTURE.resize((40, 27))
        page.encoderinfo = {"tiffinfo": tags}
        pages.append(page)
    first = pages[0].copy()
    tags = pages[0].encoderinfo["tiffinfo"]
    return encode(first, "TIFF", save_all=True, append_images=pages[1:], tiffinfo=tags, **options)


@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
@pytest.mark.parametrize("kinds", [(None, 1), (0, 1), (None, 1, 1, 1), (None, 4), (None, 5), (2, 1)])
def test_tiff_whose_other_pages_are_its_thumbnails_is_seen(kinds: tuple[int | None, ...], big: bool) -> None:  # noqa: FBT001
    assert np.array_equal(seen(tiff(*kinds, big_tiff=big)), np.asarray(PICTURE))


def test_tiff_that_marks_its_thumbnail_as_old_files_do_is_seen() -> None:
    assert np.array_equal(seen(tiff(1, 2, old=True)), np.asarray(PICTURE))


@pytest.mark.parametrize("kinds", [(None, None), (None, 1, None), (None, 2), (1, 1), (1, None), (None, *(1,) * 70)])
def test_tiff_of_several_pictures_is_refused(kinds: tuple[int | None, ...]) -> None:
    with pytest.raises(InvalidPicture, match="several frames or pages"):
        open_picture(tiff(*kinds), LIMITS)


def test_tiff_of_many_pages_is_refused() -> None:
    with pytest.raises(InvalidPicture, match="several frames or pages"):
        open_picture(tiff_with_pages(200), LIMITS)
