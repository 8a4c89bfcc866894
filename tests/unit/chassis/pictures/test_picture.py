"""Reading encoded pictures: what is accepted, how it is decoded, what is refused before it costs anything."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.chassis.errors import InvalidPicture, TooLarge, UnsupportedFormat
from services.chassis.pictures.picture import open_picture
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import PictureLimits
from services.chassis.process.sizes import limit_text, size_text
from tests.support.pictures import (
    FORMATS,
    LOSSLESS,
    animation,
    decode,
    encode,
    huge_header,
    multi_picture_jpeg,
    noise,
    png,
    png_chunk,
    smooth,
    tiff_with_pages,
    turned,
    with_jpeg_segment,
    with_png_chunks,
    with_repeated_scan,
)

LIMITS = PictureLimits(max_bytes=1_000_000, max_pixels=1_000_000)
TURNABLE = ("JPEG", "PNG", "WEBP", "TIFF")
ORIENTATIONS = range(1, 9)


def difference(a: NDArray[np.uint8], b: Image.Image) -> float:
    """Mean absolute difference."""
    return float(np.abs(a.astype(int) - np.asarray(b)).mean())


@pytest.mark.parametrize("file_format", FORMATS)
def test_header_tells_format_and_size(file_format: str) -> None:
    picture = open_picture(encode(noise(30, 20), file_format), LIMITS)
    assert picture.format is PictureFormat(file_format)
    assert (picture.width_px, picture.height_px, picture.long_side_px) == (30, 20, 30)
    assert not picture.turned


@pytest.mark.parametrize("file_format", TURNABLE)
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_pixels_are_upright_in_every_orientation(file_format: str, orientation: int) -> None:
    upright = smooth(60, 40)
    content = turned(upright, orientation, file_format, **LOSSLESS.get(file_format, {}))
    picture = open_picture(content, LIMITS)
    assert (picture.width_px, picture.height_px) == upright.size
    assert difference(picture.rgb(), upright) < 2
    assert difference(picture.pixels().samples.astype(np.uint8), upright) < 2


@pytest.mark.parametrize("file_format", TURNABLE)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_shrunk_pixels_are_the_upright_picture_at_the_size_asked_for(file_format: str, orientation: int) -> None:
    upright = smooth(600, 400)
    picture = open_picture(turned(upright, orientation, file_format), LIMITS)
    pixels = picture.rgb(long_side_px=60)
    assert pixels.shape == (40, 60, 3)
    assert difference(pixels, upright.resize((60, 40), Image.Resampling.BOX)) < 2


def test_smaller_picture_is_not_enlarged() -> None:
    assert open_picture(encode(noise(30, 20), "PNG"), LIMITS).rgb(long_side_px=640).shape == (20, 30, 3)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (1, 16_383), (16_383, 1), (3, 16_000)])
def test_thinnest_pictures_are_decoded_and_shrunk_to_no_less_than_a_pixel(
    file_format: str, size: tuple[int, int]
) -> None:
    picture = open_picture(encode(Image.new("RGB", size, (200, 100, 50)), file_format), LIMITS)
    width, height = size
    assert picture.rgb().shape == (height, width, 3)
    shrunk = picture.rgb(long_side_px=64)
    assert shrunk.shape == (64 if height > 64 else 1, 64 if width > 64 else 1, 3)
    assert np.abs(shrunk.astype(int) - (200, 100, 50)).max() < 6


@pytest.mark.parametrize(
    ("mode", "decoded"), [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGBA", "RGBA"), ("I;16", "I;16")]
)
def test_png_keeps_channels_and_depth_that_matter(mode: str, decoded: str) -> None:
    content = encode(noise(30, 20, mode), "PNG")
    pixels = open_picture(content, LIMITS).pixels()
    assert pixels.channels == decoded.replace("I;16", "L")
    expected = np.asarray(decode(content).convert(decoded))
    assert np.array_equal(pixels.samples, expected.reshape(20, 30, -1))
    assert pixels.samples.dtype == expected.dtype


@pytest.mark.parametrize(
    ("mode", "decoded"),
    [("1", "L"), ("PA", "RGBA"), ("CMYK", "CMYK"), ("YCbCr", "RGB"), ("I;16", "I;16"), ("I;16B", "I;16")],
)
def test_tiff_keeps_channels_and_depth_that_matter(mode: str, decoded: str) -> None:
    if mode == "I;16B":
        content = encode(noise(30, 20, "I").convert("I;16B"), "TIFF")
    elif mode == "I;16":
        content = encode(noise(30, 20, mode), "TIFF")
    else:
        content = encode(noise(30, 20).convert("P" if mode == "PA" else mode).convert(mode), "TIFF")
    picture = open_picture(content, LIMITS)
    pixels = picture.pixels()
    assert pixels.channels == decoded.replace("I;16", "L")
    assert pixels.samples.dtype == (np.uint16 if decoded == "I;16" else np.uint8)
    assert picture.rgb().shape == (20, 30, 3)


def test_sixteen_bit_grey_is_shown_by_its_upper_byte() -> None:
    samples = np.array([[0, 255, 256, 0x1234, 65535]], np.uint16)
    picture = open_picture(png(samples, colour_type=0, bits=16), LIMITS)
    assert picture.rgb()[0, :, 0].tolist() == [0, 0, 1, 0x12, 255]
    assert np.array_equal(picture.pixels().samples[..., 0], samples)


def test_sixteen_bit_colour_is_shown_by_its_upper_bytes_and_kept_whole() -> None:
    samples = np.array([[[0x1234, 0x5678, 0x9ABC]]], np.uint16)
    picture = open_picture(png(samples, colour_type=2, bits=16), LIMITS)
    assert picture.rgb().tolist() == [[[0x12, 0x56, 0x9A]]]
    assert picture.pixels().samples.tolist() == samples.tolist()


@pytest.mark.parametrize(
    ("samples", "colour_type", "bits", "ancillary", "alpha"),
    [
        (np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8), 2, 8, png_chunk(b"tRNS", bytes((0, 1, 0, 2, 0, 3))), [0, 255]),
        (np.array([[7, 9]], np.uint8), 0, 8, png_chunk(b"tRNS", bytes((0, 7))), [0, 255]),
        (np.array([[263, 519]], np.uint16), 0, 16, png_chunk(b"tRNS", bytes((1, 7))), [0, 65535]),
        (
            np.array([[[1, 2, 3], [4, 5, 6]]], np.uint16),
            2,
            16,
            png_chunk(b"tRNS", bytes((0, 1, 0, 2, 0, 3))),
            [0, 65535],
        ),
        (
            np.array([[0, 1]], np.uint8),
            3,
            8,
            png_chunk(b"PLTE", bytes(range(6))) + png_chunk(b"tRNS", b"\x40"),
            [64, 255],
        ),
    ],
    ids=["RGB", "grey", "grey of 16 bits", "RGB of 16 bits", "palette"],
)
def test_transparent_colour_becomes_an_alpha_channel(
    samples: NDArray[np.uint8] | NDArray[np.uint16], colour_type: int, bits: int, ancillary: bytes, alpha: list[int]
) -> None:
    pixels = open_picture(png(samples, colour_type=colour_type, bits=bits, ancillary=ancillary), LIMITS).pixels()
    assert pixels.channels[-1] == "A"
    assert pixels.samples[0, :, -1].tolist() == alpha


def test_bilevel_transparent_colour_becomes_an_alpha_channel() -> None:
    content = encode(Image.new("1", (2, 1), 1), "PNG", transparency=1)
    pixels = open_picture(content, LIMITS).pixels()
    assert pixels.channels == "LA"
    assert pixels.samples[0, :, 1].tolist() == [0, 0]


def test_first_picture_of_a_phone_jpeg_counts() -> None:
    picture = open_picture(multi_picture_jpeg(smooth(60, 40), Image.new("RGB", (60, 40), "red")), LIMITS)
    assert picture.format is PictureFormat.JPEG
    assert difference(picture.rgb(), smooth(60, 40)) < 2
    assert difference(picture.rgb(long_side_px=20), smooth(20, 13)) < 10


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_unknown_orientation_counts_as_upright(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    picture = open_picture(encode(noise(30, 20), "JPEG", exif=exif), LIMITS)
    assert (picture.width_px, picture.height_px, picture.turned) == (30, 20, False)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"II*\0\x08\0\0\0\xff\xff",
        b"MM\0*\xff\xff\xff\xff",
        b"XX" * 20,
        b"II*\0\x08\0\0\0" + b"\xff" * 50,
    ],
    ids=["empty", "cut", "too many entries", "entries far away", "no TIFF", "nonsense entries"],
)
def test_damaged_exif_counts_as_upright(exif: bytes) -> None:
    jpeg = with_jpeg_segment(encode(noise(30, 20), "JPEG"), 0xE1, b"Exif\0\0" + exif)
    png_file = with_png_chunks(encode(noise(30, 20), "PNG"), png_chunk(b"eXIf", exif))
    for content in (jpeg, png_file):
        picture = open_picture(content, LIMITS)
        assert (picture.width_px, picture.height_px) == (30, 20)
        assert picture.rgb().shape == (20, 30, 3)


def test_orientation_behind_the_pixels_of_a_png_counts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    chunk = png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    picture = open_picture(with_png_chunks(encode(noise(30, 20), "PNG"), chunk, before=b"IEND"), LIMITS)
    assert (picture.width_px, picture.height_px, picture.turned) == (20, 30, True)
    assert picture.rgb().shape == (30, 20, 3)


# What is refused


def test_nothing_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidPicture, match="is empty; send the bytes of a picture file"):
        open_picture(b"", LIMITS)


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"\0" * 1000,
        b"%PDF-1.7\n",
        b"\xff\xd8",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"RIFF\0\0\0\0WAVE",
    ],
)
def test_what_is_no_picture_is_refused_with_what_is_accepted(content: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="send one of JPEG, PNG, WEBP, BMP, TIFF"):
        open_picture(content, LIMITS)


def test_gif_is_refused_moving_or_not() -> None:
    for frames in (1, 2):
        with pytest.raises(UnsupportedFormat, match="GIF is not accepted, animated or not; send each frame"):
            open_picture(animation("GIF", frames), LIMITS)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused_with_what_to_do(file_format: str) -> None:
    open_picture(animation(file_format, 1), LIMITS)
    with pytest.raises(InvalidPicture, match="several frames or pages; send each as a picture of its own"):
        open_picture(animation(file_format), LIMITS)


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_pixel_types_that_cannot_be_treated_are_refused_with_what_to_do(mode: str) -> None:
    with pytest.raises(InvalidPicture, match=f"type {mode} are not accepted; save it as 8-bit RGB"):
        open_picture(encode(noise(30, 20, mode), "TIFF"), LIMITS)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("kept", [20, 0.2, 0.5, 0.9])
def test_truncated_picture_is_called_damaged_and_never_half_decoded(file_format: str, kept: float) -> None:
    content = encode(noise(90, 60), file_format)
    cut = content[: int(kept if kept > 1 else kept * len(content))]
    with pytest.raises(InvalidPicture, match="damaged, truncated") as refusal:
        open_picture(cut, LIMITS).rgb()
    assert type(refusal.value) is InvalidPicture


@pytest.mark.parametrize("file_format", FORMATS)
def test_bytes_are_limited(file_format: str) -> None:
    content = encode(noise(30, 20), file_format)
    open_picture(content, PictureLimits(max_bytes=len(content), max_pixels=600))
    with pytest.raises(TooLarge, match=f"has {size_text(len(content))}; at most {limit_text(len(content) - 1)}"):
        open_picture(content, PictureLimits(max_bytes=len(content) - 1, max_pixels=600))
    with pytest.raises(TooLarge, match="has 30 x 20 pixels; at most 599 in all"):
        open_picture(content, PictureLimits(max_bytes=len(content), max_pixels=599))


@pytest.mark.parametrize("file_format", FORMATS)
def test_header_that_promises_too_much_is_refused_before_any_pixel_is_made(file_format: str) -> None:
    content = huge_header(file_format)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="pixels; at most 1000000 in all"):
            open_picture(content, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_tiff_of_very_many_pages_is_refused_at_the_second() -> None:
    content = tiff_with_pages(10_000)
    started = time.perf_counter()
    with pytest.raises(InvalidPicture, match="several frames or pages"):
        open_picture(content, PictureLimits(max_bytes=len(content), max_pixels=16))
    assert time.perf_counter() - started < 0.1


def test_progressive_jpeg_with_very_many_scans_is_refused_before_they_are_decoded() -> None:
    progressive = encode(Image.new("L", (1000, 1000), 128), "JPEG", progressive=True)
    open_picture(progressive, LIMITS).rgb()
    with pytest.raises(InvalidPicture, match=r"scans are too many .*; save it without progression"):
        open_picture(with_repeated_scan(progressive, 20), LIMITS)


def test_small_progressive_jpeg_may_have_more_scans() -> None:
    progressive = encode(Image.new("L", (100, 100), 128), "JPEG", progressive=True)
    assert open_picture(with_repeated_scan(progressive, 100), LIMITS).rgb().shape == (100, 100, 3)
