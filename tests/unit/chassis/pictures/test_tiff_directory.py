"""A TIFF that says it has millions of strips is refused before each becomes an object."""

from __future__ import annotations

import io
import struct
import time

import pytest
from PIL import Image

from services.chassis.errors import InvalidPicture
from services.chassis.pictures.picture import open_picture
from services.chassis.pictures.tiff_directory import MAX_TAGS, MAX_VALUES, check_tiff
from services.chassis.process.settings import MIB, PictureLimits

LIMITS = PictureLimits(max_bytes=64 * MIB, max_pixels=100_000_000)
STRIP_OFFSETS = 273


def tiff(values: int, tag: int = STRIP_OFFSETS, *, order: str = "<", second: bool = False) -> bytes:
    """Of 64 x 64 pixels; one tag has so many values, all of which are there."""
    tags = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, STRIP_OFFSETS: 8, 277: 1, 278: 64, 279: 4096}
    directory = struct.pack(f"{order}H", len(tags))
    behind = 8 + (2 if second else 1) * (2 + 12 * len(tags) + 4)
    for number, value in sorted(tags.items()):
        long = (4, values, behind) if number == tag else (4, 1, value)
        directory += struct.pack(f"{order}HHII", number, *long)
    plain = b"".join(struct.pack(f"{order}HHII", number, 4, 1, value) for number, value in sorted(tags.items()))
    first = struct.pack(f"{order}H", len(tags)) + plain + struct.pack(f"{order}I", 8 + len(directory) + 4)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + (first if second else b"") + directory + bytes(4) + struct.pack(f"{order}I", 8) * values


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("second", [False, True])
def test_millions_of_strips_are_refused_at_once(order: str, *, second: bool) -> None:
    content = tiff(3_000_000, order=order, second=second)
    started_s = time.process_time()
    with pytest.raises(InvalidPicture, match="3000000 values of tag 273"):
        open_picture(content, LIMITS)
    assert time.process_time() - started_s < 1


def test_many_tags_are_refused() -> None:
    with pytest.raises(InvalidPicture, match=f"at most {MAX_TAGS}"):
        check_tiff(b"II*\0" + struct.pack("<IH", 8, MAX_TAGS + 1))


def test_as_many_as_a_large_picture_has_are_read() -> None:
    check_tiff(tiff(MAX_VALUES))


@pytest.mark.parametrize("content", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"II+\0" + b"\xff" * 40, b"\x89PNG"])
def test_what_is_damaged_or_none_is_left_to_the_decoder(content: bytes) -> None:
    check_tiff(content)


def test_an_ordinary_one_is_read() -> None:
    file = io.BytesIO()
    Image.new("RGB", (640, 480)).save(file, "TIFF")
    assert open_picture(file.getvalue(), LIMITS).width_px == 640
