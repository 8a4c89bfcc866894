"""HEIF, as phones write it: upright once, checked by its header, and what is searched is what is answered."""

from __future__ import annotations

import io
import os
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from services.chassis.errors import InvalidPicture, TooLarge, UnsupportedFormat
from services.chassis.pictures.picture import open_picture
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import ORIENTATION_TAG, decode, encode, smooth, turned

LIMITS = PictureLimits(max_bytes=1_000_000, max_pixels=1_000_000)
pytestmark = pytest.mark.usefixtures("heif_writer")


@pytest.fixture(scope="module")
def heif_writer() -> None:
    """Teaches Pillow to write HEIF, which only tests do."""
    pillow_heif.register_heif_opener()


def heif(image: Image.Image, **options: object) -> bytes:
    return encode(image, "HEIF", quality=95, chroma=444, **options)


def with_header_size(content: bytes, width: int, height: int) -> bytes:
    """The file with the size in its header (`ispe` boxes) changed."""
    parts = content.split(b"ispe")
    return b"ispe".join([parts[0], *(part[:4] + struct.pack(">II", width, height) + part[12:] for part in parts[1:])])


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_header_tells_format_and_size_and_pixels_follow(mode: str) -> None:
    picture = open_picture(heif(smooth(60, 40).convert(mode)), LIMITS)
    assert picture.format is PictureFormat.HEIF
    assert (picture.width_px, picture.height_px) == (60, 40)
    pixels = picture.pixels()
    assert (pixels.channels, pixels.samples.shape) == (mode, (40, 60, len(mode)))
    assert np.abs(picture.rgb() - np.asarray(smooth(60, 40), np.int64)).mean() < 8
    assert picture.rgb(long_side_px=30).shape == (20, 30, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_is_turned_upright_once(orientation: int) -> None:
    upright = smooth(64, 48)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation  # from bytes of which the encoder also makes HEIF's own `irot` and `imir`
    stored = decode(turned(upright, orientation, "PNG"))
    picture = open_picture(heif(stored, exif=exif.tobytes()), LIMITS)
    assert (picture.width_px, picture.height_px) == upright.size
    assert np.abs(picture.rgb() - np.asarray(upright, np.int64)).mean() < 8
    assert np.array_equal(picture.pixels().samples, picture.rgb())


@pytest.mark.parametrize("bits", [10, 12])
def test_more_bits_than_eight_become_eight(bits: int) -> None:
    samples = np.full((40, 60, 3), 0x8000, np.uint16)
    file = io.BytesIO()
    pillow_heif.encode("RGB;16", (60, 40), samples.tobytes(), file, quality=95, save_to_12bit=bits == 12)
    pixels = open_picture(file.getvalue(), LIMITS).pixels()
    assert pixels.samples.dtype == np.uint8
    assert np.abs(pixels.samples.astype(int) - 128).max() < 4


def test_thumbnail_that_shows_something_else_is_not_searched() -> None:
    content = heif(Image.new("RGB", (640, 480), "red"), thumbnails=[320])
    assert b"thmb" in content
    picture = open_picture(content, LIMITS)
    assert picture.header().draft("RGB", (100, 75)) is None
    assert picture.rgb(long_side_px=100).shape == (75, 100, 3)


def test_primary_picture_counts_wherever_it_stands() -> None:
    red, blue = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
    content = encode(red, "HEIF", save_all=True, append_images=[blue], primary_index=1)
    picture = open_picture(content, LIMITS)
    assert picture.rgb()[32, 32, 2] > 200
    assert picture.pixels().samples[32, 32, 2] > 200


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_truncated_picture_is_called_damaged(kept: float) -> None:
    content = heif(smooth(90, 60))
    with pytest.raises(InvalidPicture, match="damaged, truncated") as refusal:
        open_picture(content[: int(kept * len(content))], LIMITS).rgb()
    assert type(refusal.value) is InvalidPicture


def test_sequence_is_refused() -> None:
    film = b"\0\0\0\x18ftypmsf1\0\0\0\0msf1hevc" + bytes(200)
    with pytest.raises(InvalidPicture):
        open_picture(film, LIMITS)


def test_other_files_in_the_same_container_are_not_accepted() -> None:
    with pytest.raises(UnsupportedFormat, match="TIFF, HEIF"):
        open_picture(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(200), LIMITS)


def test_header_that_promises_too_much_is_refused_before_any_pixel_is_made() -> None:
    content = with_header_size(heif(Image.new("RGB", (64, 64))), 9_000, 9_000)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="9000 x 9000 pixels; at most 1000000 in all"):
            open_picture(content, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("told", [(16, 16), (1000, 1000)])
def test_header_that_tells_another_size_than_the_pixels_have_is_refused(told: tuple[int, int]) -> None:
    content = with_header_size(heif(smooth(900, 700)), *told)
    picture = open_picture(content, LIMITS)
    assert (picture.width_px, picture.height_px) == told
    started = time.perf_counter()
    with pytest.raises(InvalidPicture):
        picture.pixels()
    with pytest.raises(InvalidPicture):
        picture.rgb(long_side_px=640)
    assert time.perf_counter() - started < 2


def test_decoding_starts_no_threads_that_stay() -> None:
    picture = open_picture(heif(smooth(900, 700)), LIMITS)
    before = len(os.listdir("/proc/self/task"))  # noqa: PTH208  (a count)
    for _ in range(3):
        picture.pixels()
    assert len(list(Path("/proc/self/task").iterdir())) <= before
