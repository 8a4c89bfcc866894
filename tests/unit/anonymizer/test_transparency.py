"""Palettes and transparency: colours come out right, and what was transparent stays so."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from services.anonymizer.anonymization import anonymize
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region, Shape
from services.anonymizer.styles import Solid
from services.chassis.errors import InvalidPicture
from services.chassis.pictures.geometry import Box
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import LOSSLESS, animation, decode, encode, smooth

LIMITS = PictureLimits(max_bytes=4_000_000, max_pixels=1_000_000)
FACE = Region(box=Box(x_min=10, y_min=10, x_max=30, y_max=30), landmarks={})
BESIDE = np.s_[:, 40:]
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (250, 240, 230))


def hide(content: bytes) -> Image.Image:
    redaction = Redaction(style=Solid(), shape=Shape.BOX, margin=0)
    return decode(anonymize(content, [FACE], redaction, limits=LIMITS).content)


def stripes() -> Image.Image:
    """Of a palette of four colours, in columns of ten pixels."""
    indices = np.tile(np.arange(80) // 10 % 4, (40, 1)).astype(np.uint8)
    image = Image.fromarray(indices).convert("P")
    image.frombytes(indices.tobytes())
    image.putpalette([value for colour in COLOURS for value in colour])
    return image


def translucent(mode: str) -> Image.Image:
    """A gradient whose alpha runs from 0 at the top to 255 at the bottom."""
    image = smooth(80, 40).convert(mode)
    image.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 40).astype(np.uint8)[:, None], (1, 80))))
    return image


def bmp_with_alpha(image: Image.Image) -> bytes:
    """With a BITMAPV5HEADER and its rows from the bottom up, as Windows writes it."""
    pixels = np.asarray(image)[::-1][..., [2, 1, 0, 3]].tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 124, *image.size, 1, 32, 3, len(pixels), 0, 0, 0, 0) + masks
    header += b"BGRs" + bytes(124 - len(header) - 4)
    return struct.pack("<2sIII", b"BM", 14 + 124 + len(pixels), 0, 14 + 124) + header + pixels


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_palette_becomes_its_colours(file_format: str) -> None:
    after = hide(encode(stripes(), file_format))
    assert after.mode == "RGB"
    for column in range(4, 8):
        assert after.getpixel((column * 10 + 5, 20)) == COLOURS[column % 4]
    assert after.getpixel((20, 20)) == (0, 0, 0)


@pytest.mark.parametrize("transparency", [2, bytes((255, 128, 0, 7))], ids=["one colour", "an alpha each"])
def test_transparent_colours_of_a_palette_stay_transparent(transparency: int | bytes) -> None:
    alphas = transparency if isinstance(transparency, bytes) else bytes((255, 255, 0, 255))
    after = hide(encode(stripes(), "PNG", transparency=transparency))
    assert after.mode == "RGBA"
    for column in range(4, 8):
        assert after.getpixel((column * 10 + 5, 20)) == (*COLOURS[column % 4], alphas[column % 4])
    assert after.getpixel((20, 20)) == (0, 0, 0, 255)


@pytest.mark.parametrize(("file_format", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("TIFF", "RGBA")])
def test_alpha_stays_as_it_was_beside_the_region(file_format: str, mode: str) -> None:
    before = translucent("RGB" if mode == "RGBA" else "L")
    after = hide(encode(before, file_format, **LOSSLESS.get(file_format, {})))
    assert after.mode == mode
    assert np.array_equal(np.asarray(after)[BESIDE], np.asarray(before)[BESIDE])


def test_alpha_of_a_bmp_stays() -> None:
    before = translucent("RGB")
    content = bmp_with_alpha(before)
    assert np.array_equal(np.asarray(decode(content)), np.asarray(before))
    after = hide(content)
    assert (after.format, after.mode) == ("BMP", "RGBA")
    assert np.array_equal(np.asarray(after)[BESIDE], np.asarray(before)[BESIDE])
    assert after.getpixel((20, 20)) == (0, 0, 0, 255)


def test_bilevel_picture_comes_out_black_and_white() -> None:
    before = smooth(80, 40).convert("1")
    after = hide(encode(before, "PNG"))
    assert after.mode == "L"
    assert np.array_equal(np.asarray(after)[BESIDE] > 0, np.asarray(before)[BESIDE])


def test_animated_png_is_refused_whether_or_not_its_still_picture_moves() -> None:
    frame, other = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    still_apart = encode(frame, "PNG", save_all=True, append_images=[other], default_image=True)
    for content in (animation("PNG"), still_apart):
        assert b"acTL" in content
        with pytest.raises(InvalidPicture, match="several frames or pages; send each as a picture of its own"):
            hide(content)
