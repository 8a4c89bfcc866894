"""A face is found and hidden in every kind of picture, and what comes back is the kind that was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.pictures import (
    FORMATS,
    LOSSLESS,
    decode,
    encode,
    multi_picture_jpeg,
    png,
    png_chunk,
    shown,
    turned,
    with_metadata,
    with_swapped_tables,
    without_jpeg_segment,
)
from tests.support.processes import Stack
from tests.support.profiles import SRGB
from tests.support.ways import Ways

FACE = (224, 120)
"""Where the astronaut's face is."""
MARKER = b"PLANTED-BY-THE-TEST"
Pixels = NDArray[np.float64]


@pytest.fixture(scope="module")
def ways(stack: Stack) -> Iterator[Ways]:
    opened = Ways(stack)
    yield opened
    opened.close()


def samples(image: Image.Image) -> NDArray[np.uint16]:
    return np.asarray(image).astype(np.uint16) * 257


def with_alpha(image: Image.Image, mode: str) -> Image.Image:
    """A horizontal gradient as alpha, nowhere 0: some tools forget the colour there."""
    result = image.convert(mode)
    result.putalpha(Image.fromarray(np.tile(np.linspace(1, 255, image.width).astype(np.uint8), (image.height, 1))))
    return result


def palette(image: Image.Image) -> Image.Image:
    return image.quantize(200)


def grey_palette(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("P")


def sixteen_bit_grey(image: Image.Image) -> Image.Image:
    return Image.fromarray(samples(image.convert("L")))


def inverted(image: Image.Image) -> Image.Image:
    return Image.fromarray(255 - np.asarray(image))


KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG 4:4:4": lambda i: encode(i, "JPEG", quality=90, subsampling=0),
    "JPEG 4:2:2": lambda i: encode(i, "JPEG", quality=90, subsampling=1),
    "JPEG 4:2:0": lambda i: encode(i, "JPEG", quality=90, subsampling=2),
    "JPEG progressive": lambda i: encode(i, "JPEG", quality=90, progressive=True),
    "JPEG with restart markers": lambda i: encode(i, "JPEG", quality=90, restart_marker_blocks=7),
    "JPEG stored as RGB": lambda i: encode(i, "JPEG", quality=95, keep_rgb=True),
    "JPEG with tables in another order": lambda i: with_swapped_tables(encode(i, "JPEG", quality=90)),
    "JPEG grey": lambda i: encode(i.convert("L"), "JPEG", quality=90),
    "JPEG CMYK, inverted as Adobe does": lambda i: encode(i.convert("CMYK"), "JPEG", quality=90),
    "JPEG CMYK, inverted without Adobe's marker": lambda i: without_jpeg_segment(
        encode(i.convert("CMYK"), "JPEG", quality=90), 0xEE
    ),
    "JPEG with another behind it": lambda i: multi_picture_jpeg(i, inverted(i)),
    "PNG": lambda i: encode(i, "PNG"),
    "PNG grey": lambda i: encode(i.convert("L"), "PNG"),
    "PNG grey with alpha": lambda i: encode(with_alpha(i, "LA"), "PNG"),
    "PNG grey 16 bit": lambda i: encode(sixteen_bit_grey(i), "PNG"),
    "PNG 16 bit": lambda i: png(samples(i), colour_type=2, bits=16),
    "PNG 16 bit with alpha": lambda i: png(samples(with_alpha(i, "RGBA")), colour_type=6, bits=16),
    "PNG palette": lambda i: encode(palette(i), "PNG"),
    "PNG palette with one transparent colour": lambda i: encode(palette(i), "PNG", transparency=3),
    "PNG palette with alpha": lambda i: encode(palette(i), "PNG", transparency=bytes(range(56, 256))),
    "PNG with a transparent colour": lambda i: png(
        np.asarray(i), colour_type=2, bits=8, ancillary=png_chunk(b"tRNS", bytes(6))
    ),
    "PNG with alpha": lambda i: encode(with_alpha(i, "RGBA"), "PNG"),
    "WebP": lambda i: encode(i, "WEBP", quality=90),
    "WebP with alpha": lambda i: encode(with_alpha(i, "RGBA"), "WEBP", quality=90),
    "WebP lossless": lambda i: encode(i, "WEBP", lossless=True),
    "WebP lossless with alpha": lambda i: encode(with_alpha(i, "RGBA"), "WEBP", lossless=True, exact=True),
    "BMP": lambda i: encode(i, "BMP"),
    "BMP grey": lambda i: encode(i.convert("L"), "BMP"),
    "BMP palette": lambda i: encode(palette(i), "BMP"),
    "TIFF": lambda i: encode(i, "TIFF"),
    "TIFF LZW": lambda i: encode(i, "TIFF", compression="tiff_lzw"),
    "TIFF JPEG": lambda i: encode(i, "TIFF", compression="jpeg"),
    "TIFF grey 16 bit": lambda i: encode(sixteen_bit_grey(i), "TIFF"),
    "TIFF palette": lambda i: encode(palette(i), "TIFF"),
    "TIFF CMYK": lambda i: encode(i.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
    "TIFF with alpha": lambda i: encode(with_alpha(i, "RGBA"), "TIFF"),
}
LOSSY = ("JPEG", "WEBP")
WRITTEN_AS = {"P": "RGB", "YCbCr": "RGB"}
"""Palettes hold no averages of their colours; YCbCr stands only in TIFF with lossy compression."""


def around_face(
    box: dict[str, float], size: tuple[int, int], *, reach: float, beyond_px: float = 0
) -> NDArray[np.bool_]:
    """The pixels of the box and so much of it on each side."""
    width, height = size
    dx, dy = (box["x_max"] - box["x_min"]) * reach + beyond_px, (box["y_max"] - box["y_min"]) * reach + beyond_px
    y, x = np.mgrid[0:height, 0:width] + 0.5
    inside: NDArray[np.bool_] = (
        (x > box["x_min"] - dx) & (x < box["x_max"] + dx) & (y > box["y_min"] - dy) & (y < box["y_max"] + dy)
    )
    return inside


def eight_bit(image: Image.Image) -> Pixels:
    """H x W x C, 0 to 255 whatever the depth."""
    pixels = np.asarray(image).astype(np.float64)
    return np.atleast_3d(pixels / 257 if image.mode.startswith("I;16") else pixels)


def psnr(difference: Pixels) -> float:
    """Peak signal-to-noise ratio, dB."""
    return float(10 * np.log10(255**2 / max((difference**2).mean(), 1e-9)))


def assert_hidden(original: Image.Image, hidden: Image.Image, box: dict[str, float], *, lossless: bool) -> None:
    """The face is gone, the rest is not."""
    assert hidden.size == original.size
    difference = eight_bit(hidden) - eight_bit(original)
    face = around_face(box, hidden.size, reach=-0.1)
    assert np.abs(difference[face]).mean() > 5
    if lossless:
        rest = ~around_face(box, hidden.size, reach=0.3, beyond_px=2)
        assert not difference[rest].any()
    else:
        rest = ~around_face(box, hidden.size, reach=0.3, beyond_px=18)
        assert psnr(difference[rest]) > 40


def only_face(answer: dict[str, object]) -> dict[str, float]:
    """The box of the one face found, which must be the astronaut's."""
    faces = answer["faces"]
    assert isinstance(faces, list)
    [face] = faces
    box: dict[str, float] = face["box"]
    assert box["x_min"] < FACE[0] < box["x_max"]
    assert box["y_min"] < FACE[1] < box["y_max"]
    assert 60 < box["x_max"] - box["x_min"] < 200
    return box


@pytest.mark.parametrize("kind", KINDS)
def test_face_is_found_and_hidden_in_every_kind_of_picture(ways: Ways, astronaut: Image.Image, kind: str) -> None:
    content = KINDS[kind](astronaut)
    original = decode(content)
    box = only_face(ways.detect(content, recall="fast"))
    answer = ways.anonymize(content, recall="fast", style="solid")
    hidden = decode(answer.content)
    assert answer.headers["x-facet-faces"] == "1"
    assert hidden.format == ("JPEG" if original.format == "MPO" else original.format)
    mode = WRITTEN_AS.get(original.mode, original.mode)
    if "transparency" in original.info:
        mode = "RGBA"
    assert hidden.mode == mode
    lossless = original.format not in (*LOSSY, "MPO") or "lossless" in kind
    assert_hidden(original if original.mode == mode else original.convert(mode), hidden, box, lossless=lossless)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_picture_is_found_hidden_and_answered_upright(
    ways: Ways, astronaut: Image.Image, file_format: str, orientation: int
) -> None:
    upright = astronaut.crop((0, 0, 512, 400))
    quality = {"JPEG": {"quality": 90}}.get(file_format, LOSSLESS.get(file_format, {}))
    content = turned(upright, orientation, file_format, **quality)
    answer = ways.detect(content, recall="fast")
    assert (answer["width"], answer["height"]) == upright.size
    box = only_face(answer)
    answered = ways.anonymize(content, recall="fast", style="solid").content
    assert decode(answered).format == file_format
    assert_hidden(shown(content), shown(answered), box, lossless=file_format != "JPEG")


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("TIFF", {"compression": "group4"}), ("BMP", {})])
def test_bilevel_picture_is_hidden_and_answered_in_grey(
    ways: Ways, astronaut: Image.Image, file_format: str, options: dict[str, str]
) -> None:
    bilevel = astronaut.convert("1")
    content = encode(bilevel, file_format, **options)
    assert ways.detect(content)["width"] == 512
    box = {"x_min": 173.0, "y_min": 67.0, "x_max": 277.0, "y_max": 171.0}
    done = ways.hide(content, (173, 67, 277, 171))
    assert_hidden(bilevel.convert("L"), decode(done.image.content), box, lossless=True)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 16_383), (16_383, 1), (3, 16_000)], ids=str)
def test_thinnest_pictures_pass_through(ways: Ways, file_format: str, size: tuple[int, int]) -> None:
    content = encode(Image.new("RGB", size, (200, 100, 50)), file_format)
    for recall in ("fast", "max"):
        answer = ways.detect(content, recall=recall)
        assert (answer["width"], answer["height"], answer["faces"]) == (*size, [])
    assert decode(ways.anonymize(content).content).size == size
    whole = ways.hide(content, (0, 0, *size))
    assert (whole.hidden_regions, whole.width_px, whole.height_px) == (1, *size)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("size", [(20_000, 1), (3, 60_000)], ids=str)
def test_longest_pictures_pass_through(ways: Ways, file_format: str, size: tuple[int, int]) -> None:
    content = encode(Image.new("RGB", size, (200, 100, 50)), file_format)
    assert ways.detect(content)["faces"] == []
    assert decode(ways.anonymize(content).content).size == size


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("way", ["REST", "gRPC"])
def test_metadata_is_gone_and_the_colour_profile_stays(
    ways: Ways, astronaut: Image.Image, file_format: str, way: str
) -> None:
    content = with_metadata(astronaut, file_format, MARKER, icc_profile=SRGB)
    assert MARKER in content
    done = ways.anonymize(content).content if way == "REST" else ways.hide(content).image.content
    assert MARKER not in done
    assert decode(done).info.get("icc_profile") == (None if file_format == "BMP" else SRGB)


def test_second_picture_of_a_phone_jpeg_is_gone(ways: Ways, astronaut: Image.Image) -> None:
    content = multi_picture_jpeg(Image.new("RGB", astronaut.size, "white"), astronaut)
    done = ways.anonymize(content, recall="max")
    assert done.headers["x-facet-faces"] == "0"
    assert done.content.count(b"\xff\xd8\xff") == 1
    assert len(done.content) < len(content) / 4


@pytest.mark.parametrize("style", ["mosaic", "blur", "solid"])
@pytest.mark.parametrize("shape", ["ellipse", "box"])
def test_hidden_face_is_not_found_again(ways: Ways, astronaut_jpeg: bytes, style: str, shape: str) -> None:
    done = ways.anonymize(astronaut_jpeg, style=style, shape=shape, recall="max")
    assert int(done.headers["x-facet-faces"]) >= 1
    left = ways.detect(done.content)["faces"]  # a corner of the box may look like a small face
    assert [face for face in left if face["box"]["x_max"] - face["box"]["x_min"] > 50] == []
