"""16 bits a channel: they come back as they were, but for what is hidden."""

from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from services.anonymizer.anonymization import anonymize
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region, Shape
from services.anonymizer.styles import AveragingMosaic, Blur, GaussianBlur, Mosaic, Solid, Style
from services.chassis.errors import InvalidPicture
from services.chassis.pictures.geometry import Box
from services.chassis.pictures.picture import open_picture
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import ORIENTATION_TAG, png, png_chunk, png_chunks, tiff_entries
from tests.support.profiles import SRGB

LIMITS = PictureLimits(max_bytes=4_000_000, max_pixels=1_000_000)
WIDTH, HEIGHT = 120, 90
FACE = Region(box=Box(x_min=30, y_min=20, x_max=60, y_max=60), landmarks={})
HIDDEN = np.zeros((HEIGHT, WIDTH), bool)
HIDDEN[20:60, 30:60] = True
PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
STYLES: list[Style] = [
    Mosaic(strength=0.5),
    Blur(strength=0.5),
    Solid(),
    AveragingMosaic(strength=0.5),
    GaussianBlur(strength=0.5),
]
Deep = NDArray[np.uint16]


def samples(channels: int) -> Deep:
    """Noise in all 16 bits, H x W x C."""
    return np.random.default_rng(channels).integers(0, 65536, (HEIGHT, WIDTH, channels), dtype=np.uint16)


def hide(content: bytes, style: Style | None = None) -> bytes:
    redaction = Redaction(style=style or Solid(), shape=Shape.BOX, margin=0)
    return anonymize(content, [FACE], redaction, limits=LIMITS).content


def png_samples(content: bytes) -> Deep:
    """Of a PNG whose rows are filtered by "up", by the PNG specification and without any decoder of pictures."""
    chunks = dict(png_chunks(content))
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[chunks[b"IHDR"][9]]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(HEIGHT, -1)
    assert (rows[:, 0] == 2).all()
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).view(">u2").astype(np.uint16).reshape(HEIGHT, WIDTH, channels)


def tiff_file(pixels: Deep, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **{"photometric": "rgb", **options})  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("style", STYLES, ids=repr)
def test_png_keeps_every_bit_beside_the_region_and_none_within(channels: int, style: Style) -> None:
    before = samples(channels)
    after = png_samples(hide(png(before, colour_type=PNG_COLOUR_TYPES[channels], bits=16), style))
    assert np.array_equal(after[~HIDDEN], before[~HIDDEN])
    assert (after != before).any(axis=-1)[HIDDEN].mean() > 0.97


@pytest.mark.parametrize("channels", [3, 4])
def test_png_can_be_read_by_others(channels: int) -> None:
    answer = hide(png(samples(channels), colour_type=PNG_COLOUR_TYPES[channels], bits=16))
    by_opencv = cv2.imdecode(np.frombuffer(answer, np.uint8), cv2.IMREAD_UNCHANGED)
    assert by_opencv is not None
    in_order = by_opencv[..., [2, 1, 0, 3][:channels]]
    assert np.array_equal(in_order, png_samples(answer))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer))), in_order.astype(np.uint16) >> 8)


def test_solid_is_opaque_black_in_sixteen_bits() -> None:
    after = png_samples(hide(png(samples(4), colour_type=6, bits=16)))
    assert (after[HIDDEN] == (0, 0, 0, 65535)).all()


def test_transparent_colour_becomes_alpha_of_sixteen_bits() -> None:
    before = samples(3)
    colour = before[5, 5].astype(">u2").tobytes()
    answer = png_samples(hide(png(before, colour_type=2, bits=16, ancillary=png_chunk(b"tRNS", colour))))
    assert answer.shape[-1] == 4
    assert answer[5, 5, 3] == 0
    assert np.count_nonzero(answer[..., 3]) == WIDTH * HEIGHT - 1


def test_png_keeps_its_colour_profile_and_no_other_chunk() -> None:
    ancillary = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(SRGB)) + png_chunk(b"tEXt", b"Author\0PLANTED")
    answer = hide(png(samples(3), colour_type=2, bits=16, ancillary=ancillary))
    assert [kind for kind, _ in png_chunks(answer)] == [b"IHDR", b"iCCP", b"IDAT", b"IEND"]
    assert Image.open(io.BytesIO(answer)).info["icc_profile"] == SRGB
    assert b"PLANTED" not in answer


@pytest.mark.parametrize("orientation", range(1, 9))
def test_png_is_turned_upright_with_all_its_bits(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    stored = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    stored[3, 5] = (1, 0x0102, 0xFFFE)
    content = png(stored, colour_type=2, bits=16, ancillary=png_chunk(b"eXIf", exif.tobytes()[6:]))
    picture = open_picture(content, LIMITS)
    upright = picture.pixels().samples
    assert upright.shape[:2] == (picture.height_px, picture.width_px)
    [[y, x]] = np.argwhere(upright.any(axis=-1))
    assert upright[y, x].tolist() == [1, 0x0102, 0xFFFE]
    # Where EXIF says the 0th row and the 0th column are. Source: Exif 2.32, orientation.
    right, down = WIDTH - 1 - 5, HEIGHT - 1 - 3
    places = [(5, 3), (right, 3), (right, down), (5, down), (3, 5), (down, 5), (down, right), (3, right)]
    assert (x, y) == places[orientation - 1]


TIFF_KINDS: dict[str, dict[str, object]] = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "deflated": {"compression": "zlib"},
    "deflated big-endian": {"compression": "zlib", "byteorder": ">"},
    "deflated differences": {"compression": "zlib", "predictor": True},
    "tiled": {"tile": (16, 16)},
    "tiled and deflated": {"tile": (16, 16), "compression": "zlib"},
}


@pytest.mark.parametrize("kind", TIFF_KINDS)
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_keeps_every_bit_beside_the_region(kind: str, channels: int) -> None:
    before = samples(channels)
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    answer = hide(tiff_file(before, iccprofile=SRGB, software="PLANTED", **extra, **TIFF_KINDS[kind]))
    after = tifffile.imread(io.BytesIO(answer))
    assert after.dtype == np.uint16
    assert np.array_equal(after[~HIDDEN], before[~HIDDEN])
    assert (after[HIDDEN] == (0, 0, 0, 65535)[:channels]).all()
    assert Image.open(io.BytesIO(answer)).info["icc_profile"] == SRGB
    assert b"PLANTED" not in answer
    assert 305 not in {tag for tag, _ in tiff_entries(answer)}


def test_tiff_of_sixteen_bit_inks_stays_so() -> None:
    before = samples(4)
    answer = hide(tiff_file(before, photometric="separated"))
    after = tifffile.imread(io.BytesIO(answer))
    assert np.array_equal(after[~HIDDEN], before[~HIDDEN])
    assert (after[HIDDEN] == (0, 0, 0, 65535)).all()


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_in_planes_is_refused_with_what_to_do(compression: str | None) -> None:
    planes = np.ascontiguousarray(samples(3).transpose(2, 0, 1))
    with pytest.raises(InvalidPicture, match=r"16-bit TIFF in planes .* save it as 8-bit RGB"):
        hide(tiff_file(planes, planarconfig="separate", compression=compression))


def test_tiff_with_multiplied_alpha_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidPicture, match="multiplied alpha is not accepted; save it as 8-bit RGB"):
        hide(tiff_file(samples(4), extrasamples=["assocalpha"]))


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated_file_is_refused(kept: float) -> None:
    for content in (png(samples(3), colour_type=2, bits=16), tiff_file(samples(3), compression="zlib")):
        with pytest.raises(InvalidPicture, match="damaged, truncated"):
            hide(content[: int(kept * len(content))])
