"""What a picture tells beside its pixels: none of it is answered but, where a site asks for it, the time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, TiffImagePlugin

from services.anonymizer.encoding import Output, encode
from services.anonymizer.metadata import kept_exif
from services.chassis.pictures.icc import clean_profile
from services.chassis.pictures.picture import Picture, open_picture
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import PictureLimits
from tests.support import pictures
from tests.support.pictures import (
    decode,
    noise,
    png_chunk,
    shown,
    smooth,
    with_metadata,
    with_png_chunks,
    with_riff_chunks,
)
from tests.support.profiles import SRGB

LIMITS = PictureLimits(max_bytes=4_000_000, max_pixels=1_000_000)
MARKER = b"PLANTED-BY-THE-TEST"
TEXT = MARKER.decode()
TAKEN: dict[int, object] = {
    ExifTags.Base.DateTimeOriginal: "2024:02:29 12:30:59",
    ExifTags.Base.SubsecTimeOriginal: "123",
    ExifTags.Base.OffsetTimeOriginal: "+01:00",
}
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF")
PICTURE = noise(90, 60)


def answer(content: bytes, *, keep_capture_time: bool = False, output: PictureFormat | None = None) -> bytes:
    """The file written by the encoder, of whatever `content` holds."""
    picture = open_picture(content, LIMITS)
    return encode(picture.pixels(), picture, Output(format=output, keep_capture_time=keep_capture_time)).content


def exif_block(exif_tags: Mapping[int, object], tags: Mapping[int, object] | None = None) -> bytes:
    exif = Image.Exif()
    for tag, value in (tags or {}).items():
        exif[tag] = value
    exif[ExifTags.IFD.Exif] = dict(exif_tags)
    return exif.tobytes()


def telling_all() -> bytes:
    """EXIF with a place, a thumbnail, a maker note, a serial number and the time."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = exif[ExifTags.Base.ImageDescription] = exif[ExifTags.Base.Software] = TEXT
    exif[ExifTags.Base.XPAuthor] = MARKER
    exif[0xC6D2] = MARKER  # a private tag
    exif[ExifTags.IFD.Exif] = {
        **TAKEN,
        ExifTags.Base.MakerNote: MARKER,
        ExifTags.Base.BodySerialNumber: TEXT,
        ExifTags.Base.ImageUniqueID: TEXT,
    }
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (52.0, 31.0, 12.0), 27: MARKER}
    return exif.tobytes()


def heif() -> bytes:
    pillow_heif.register_heif_opener()
    xmp = f"<x:xmpmeta>{TEXT}</x:xmpmeta>".encode()
    return pictures.encode(PICTURE, "HEIF", exif=telling_all(), xmp=xmp, icc_profile=SRGB) + MARKER


def tiff() -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ExifTags.Base.Artist] = tags[ExifTags.Base.PageName] = TEXT
    tags[700], tags[33723], tags[34377], tags[65000] = MARKER, MARKER, MARKER, MARKER  # XMP, IPTC, Photoshop, private
    for tag in (33723, 34377, 65000):
        tags.tagtype[tag] = 7
    tags[ExifTags.IFD.GPSInfo] = {1: "N", 27: MARKER}
    tags[ExifTags.IFD.Exif] = {**TAKEN, ExifTags.Base.MakerNote: MARKER}
    return pictures.encode(PICTURE, "TIFF", tiffinfo=tags, icc_profile=SRGB) + MARKER


def raw_profile_png() -> bytes:
    """With EXIF as ImageMagick wrote it before there was a chunk for it, and private chunks of all kinds."""
    block = telling_all().hex()
    text = f"\nexif\n{len(block) // 2}\n{block}\n".encode()
    chunks = png_chunk(b"tEXt", b"Raw profile type exif\0" + text)
    for kind in (b"prVt", b"prVT", b"sPLT", b"eXIf", b"zxIf"):
        chunks += png_chunk(kind, telling_all()[6:] if kind == b"eXIf" else MARKER)
    return with_png_chunks(pictures.encode(PICTURE, "PNG", icc_profile=SRGB), chunks) + MARKER


def webp() -> bytes:
    content = pictures.encode(PICTURE, "WEBP", exif=telling_all(), xmp=MARKER, icc_profile=SRGB)
    return with_riff_chunks(content, (b"ABCD", MARKER), (b"EXIF", telling_all()[6:]), (b"XMP ", MARKER)) + MARKER


FILES: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: with_metadata(PICTURE, "JPEG", MARKER, icc_profile=SRGB),
    "PNG": lambda: with_metadata(PICTURE, "PNG", MARKER, icc_profile=SRGB),
    "PNG with a raw profile": raw_profile_png,
    "WebP": webp,
    "TIFF": tiff,
    "TIFF LZW": lambda: with_metadata(PICTURE, "TIFF", MARKER, icc_profile=SRGB, compression="tiff_lzw"),
    "HEIF": heif,
    "BMP": lambda: with_metadata(PICTURE, "BMP", MARKER),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("output", [None, PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP])
@pytest.mark.parametrize("keep_capture_time", [False, True], ids=["nothing kept", "time kept"])
def test_nothing_that_was_planted_is_answered_and_the_profile_is(
    kind: str,
    output: PictureFormat | None,
    keep_capture_time: bool,  # noqa: FBT001
) -> None:
    content = FILES[kind]()
    assert MARKER in content
    done = answer(content, keep_capture_time=keep_capture_time, output=output)
    assert MARKER not in done
    assert MARKER.hex().encode() not in done
    assert b"GPS" not in done
    image = decode(done)
    assert not image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    assert image.info.get("icc_profile") == (None if kind == "BMP" else SRGB)
    if not keep_capture_time:
        assert b"2024:" not in done
        assert not image.getexif().get_ifd(ExifTags.IFD.Exif)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("keep_capture_time", [False, True], ids=["nothing kept", "time kept"])
def test_answer_is_upright_and_says_no_other(
    file_format: str,
    orientation: int,
    keep_capture_time: bool,  # noqa: FBT001
) -> None:
    upright = smooth(60, 40)
    stored = decode(pictures.turned(upright, orientation, "PNG"))
    exif = exif_block(TAKEN, {ExifTags.Base.Orientation: orientation})
    content = pictures.encode(stored, file_format, exif=exif)
    image = shown(answer(content, keep_capture_time=keep_capture_time))
    assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    assert image.size == upright.size
    assert np.abs(np.asarray(image).astype(int) - np.asarray(upright)).mean() < 4


# The time it was taken


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_time_is_kept_alone_where_it_is_asked_for(file_format: str) -> None:
    pillow_heif.register_heif_opener()
    content = pictures.encode(PICTURE, file_format, exif=telling_all())
    exif = decode(answer(content, keep_capture_time=True)).getexif()
    assert exif.get_ifd(ExifTags.IFD.Exif) == TAKEN
    assert set(exif) == {ExifTags.IFD.Exif}


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "P", "1"])
def test_tiff_with_a_time_has_the_same_pixels(mode: str) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ExifTags.IFD.Exif] = TAKEN
    content = pictures.encode(noise(90, 60, mode), "TIFF", tiffinfo=tags, icc_profile=SRGB)
    with_time, without = (decode(answer(content, keep_capture_time=keep)) for keep in (True, False))
    assert with_time.mode == without.mode
    assert np.array_equal(np.asarray(with_time), np.asarray(without))
    assert with_time.info.get("icc_profile") == clean_profile(SRGB, channels=with_time.mode)
    assert with_time.getexif().get_ifd(ExifTags.IFD.Exif) == TAKEN


def test_time_of_a_compressed_tiff_is_kept() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ExifTags.IFD.Exif] = TAKEN
    compressed = answer(pictures.encode(PICTURE, "TIFF", tiffinfo=tags), keep_capture_time=True)
    assert decode(compressed).info["compression"] == "tiff_adobe_deflate"
    again = decode(answer(compressed, keep_capture_time=True))
    assert again.getexif().get_ifd(ExifTags.IFD.Exif) == TAKEN
    assert np.array_equal(np.asarray(again), np.asarray(PICTURE))


def picture_with(exif_tags: Mapping[int, object]) -> Picture:
    return open_picture(pictures.encode(PICTURE, "JPEG", exif=exif_block(exif_tags)), LIMITS)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "",
        "2024:02:29 12:30:59 by Jane Doe",
        "2024:02:29 12:30:59\nJane",
        "\u0662\u0660\u0662\u0664:02:29 12:30:59",
    ],
    ids=["no time", "empty", "a name behind it", "a line behind it", "other digits"],
)
def test_time_that_is_none_is_not_kept(value: str) -> None:
    picture = picture_with(
        {ExifTags.Base.DateTimeOriginal: value.encode("utf-8"), ExifTags.Base.SubsecTimeOriginal: "1"}
    )
    assert kept_exif(picture, keep_capture_time=True, orientation=None) == b""


def test_subseconds_and_zone_that_are_none_are_left_out() -> None:
    times = {**TAKEN, ExifTags.Base.SubsecTimeOriginal: TEXT, ExifTags.Base.OffsetTimeOriginal: TEXT}
    block = kept_exif(picture_with(times), keep_capture_time=True, orientation=None)
    kept = Image.Exif()
    kept.load(block)
    assert kept.get_ifd(ExifTags.IFD.Exif) == {ExifTags.Base.DateTimeOriginal: "2024:02:29 12:30:59"}
    assert MARKER not in block


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_orientation_is_written_where_the_pixels_stay_turned(orientation: int | None) -> None:
    block = kept_exif(picture_with(TAKEN), keep_capture_time=False, orientation=orientation)
    assert block.startswith(b"Exif\0\0") == (orientation is not None)
    kept = Image.Exif()
    kept.load(block)
    assert dict(kept) == ({} if orientation is None else {ExifTags.Base.Orientation: orientation})


def test_block_begins_with_its_marker_once_in_a_jpeg() -> None:
    done = answer(pictures.encode(PICTURE, "JPEG", exif=telling_all()), keep_capture_time=True)
    assert done.count(b"Exif\0\0") == 1


SOUND = exif_block(TAKEN, {ExifTags.Base.Orientation: 6})


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(
    block=st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda at, put: SOUND[:at] + put + SOUND[at + len(put) :], st.integers(0, len(SOUND)), st.binary(max_size=8)
        ),
    )
)
def test_hostile_exif_never_raises_and_tells_no_more_than_a_time(block: bytes) -> None:
    plain = pictures.encode(Image.new("L", (8, 8)), "JPEG")
    picture = open_picture(
        pictures.with_jpeg_segment(plain, 0xE1, b"Exif\0\0" + block.removeprefix(b"Exif\0\0")), LIMITS
    )
    kept = kept_exif(picture, keep_capture_time=True, orientation=picture.orientation)
    assert kept.startswith(b"Exif\0\0")
    assert len(kept) < 200


def test_exif_whose_directories_run_in_a_circle_is_read_and_not_kept() -> None:
    entry = struct.pack("<HHII", ExifTags.IFD.Exif, 4, 1, 8)
    circle = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + struct.pack("<I", 8)
    content = pictures.with_jpeg_segment(pictures.encode(PICTURE, "JPEG"), 0xE1, b"Exif\0\0" + circle)
    assert kept_exif(open_picture(content, LIMITS), keep_capture_time=True, orientation=None) == b""
