"""What is written back: the format, size, depth, profile and alpha that came, and no word of metadata."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from services.anonymizer.anonymization import Anonymized, anonymize
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.anonymizer.styles import Solid
from services.chassis.pictures.geometry import Box
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import (
    FORMATS,
    LOSSLESS,
    decode,
    encode,
    jpeg_segments,
    multi_picture_jpeg,
    noise,
    png_chunks,
    riff_chunks,
    shown,
    smooth,
    tiff_entries,
    turned,
    with_metadata,
    with_swapped_tables,
    with_tiff_type,
)
from tests.support.profiles import SRGB

LIMITS = PictureLimits(max_bytes=4_000_000, max_pixels=1_000_000)
MARKER = b"PLANTED-BY-THE-TEST"
FACE = Region(box=Box(x_min=100, y_min=60, x_max=160, y_max=140), landmarks={})
BESIDE = np.s_[:, 200:]
"""Where nothing is hidden, at a distance that JPEG's blocks do not reach."""


def hide(content: bytes, *regions: Region) -> Anonymized:
    return anonymize(content, regions or [FACE], Redaction(style=Solid()), limits=LIMITS)


def psnr(a: Image.Image, b: Image.Image) -> float:
    """Peak signal-to-noise ratio beside the region, dB."""
    error = np.asarray(a)[BESIDE].astype(float) - np.asarray(b)[BESIDE]
    mean_square = float((error**2).mean())
    return math.inf if mean_square == 0 else 10 * math.log10(255**2 / mean_square)


@pytest.mark.parametrize("file_format", FORMATS)
def test_format_and_size_stay(file_format: str) -> None:
    done = hide(encode(noise(300, 200), file_format))
    image = decode(done.content)
    assert (image.format, image.size, image.mode) == (file_format, (300, 200), "RGB")
    assert (done.width_px, done.height_px, done.hidden_regions) == (300, 200, 1)
    assert done.media_type == f"image/{file_format.lower()}"


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [
        *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *(("TIFF", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16")),
        *(("WEBP", mode) for mode in ("RGB", "RGBA")),
        *(("BMP", mode) for mode in ("1", "L", "P", "RGB")),
    ],
)
def test_lossless_formats_lose_nothing_beside_the_region(file_format: str, mode: str) -> None:
    content = encode(noise(300, 200, mode), file_format, **LOSSLESS.get(file_format, {}))
    image = decode(hide(content).content)
    original = decode(content).convert(image.mode)
    assert np.array_equal(np.asarray(image)[BESIDE], np.asarray(original)[BESIDE])
    assert not np.array_equal(np.asarray(image), np.asarray(original))


def test_colour_under_full_transparency_stays_in_lossless_webp() -> None:
    image = noise(300, 200, "RGBA")
    image.putalpha(0)
    content = encode(image, "WEBP", lossless=True, exact=True)
    assert np.array_equal(np.asarray(decode(hide(content).content))[BESIDE], np.asarray(image)[BESIDE])


def test_lossless_webp_stays_lossless_and_lossy_stays_lossy() -> None:
    lossless, lossy = (hide(encode(smooth(300, 200), "WEBP", lossless=flag)).content for flag in (True, False))
    assert b"VP8L" in list(riff_chunks(lossless))
    assert b"VP8 " in list(riff_chunks(lossy))


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("subsampling", [0, 1, 2], ids=["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
def test_jpeg_keeps_its_tables_and_sampling_and_so_next_to_everything(
    quality: int,
    subsampling: int,
    progressive: bool,  # noqa: FBT001
) -> None:
    content = encode(smooth(300, 200), "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
    before, after = decode(content), decode(hide(content).content)
    assert isinstance(before, JpegImagePlugin.JpegImageFile)
    assert isinstance(after, JpegImagePlugin.JpegImageFile)
    assert after.quantization == before.quantization
    assert JpegImagePlugin.get_sampling(after) == subsampling
    assert bool(after.info.get("progressive")) == progressive
    assert psnr(after, before) > 40


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_jpeg_loses_next_to_nothing(orientation: int) -> None:
    content = turned(smooth(300, 200), orientation, "JPEG", quality=80)
    after = shown(hide(content).content)
    assert after.size == (300, 200)
    assert psnr(after, smooth(300, 200)) > 40


def test_jpeg_with_its_tables_in_another_order_loses_next_to_nothing() -> None:
    content = with_swapped_tables(encode(smooth(300, 200), "JPEG", quality=60, subsampling=0))
    before, after = decode(content), decode(hide(content).content)
    assert isinstance(before, JpegImagePlugin.JpegImageFile)
    assert isinstance(after, JpegImagePlugin.JpegImageFile)
    assert list(before.quantization) == [1, 0]
    assert after.quantization == before.quantization
    assert psnr(after, before) > 40


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpeg_of_other_colours_stays_one(mode: str) -> None:
    content = encode(smooth(300, 200).convert(mode), "JPEG", quality=90)
    after = decode(hide(content).content)
    assert after.mode == mode
    assert psnr(after, decode(content)) > 40


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_keeps_its_lossless_compression(compression: str) -> None:
    after = decode(hide(encode(noise(300, 200), "TIFF", compression=compression)).content)
    assert after.info["compression"] == compression


def test_tiff_with_lossy_compression_is_written_without_loss() -> None:
    content = encode(smooth(300, 200), "TIFF", compression="jpeg")
    before, after = decode(content).convert("RGB"), decode(hide(content).content)
    assert after.info["compression"] == "tiff_adobe_deflate"
    assert psnr(after, before) == math.inf


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_colour_profile_stays(file_format: str) -> None:
    content = encode(noise(300, 200), file_format, icc_profile=SRGB)
    assert decode(hide(content).content).info["icc_profile"] == SRGB


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(("field_type", "count"), [(2, 6), (3, 1), (3, 3), (5, 1), (12, 1)])
def test_tiff_whose_colour_profile_is_none_is_written_without(field_type: int, count: int) -> None:
    content = encode(noise(300, 200), "TIFF", icc_profile=b"not a profile at all")
    image = decode(hide(with_tiff_type(content, 34675, field_type, count)).content)
    assert isinstance(image.info.get("icc_profile", b""), bytes)


# Metadata


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("icc_profile", [None, SRGB], ids=["without profile", "with profile"])
def test_no_metadata_is_written_back(file_format: str, icc_profile: bytes | None) -> None:
    content = with_metadata(noise(300, 200), file_format, MARKER, icc_profile=icc_profile)
    assert MARKER in content
    done = hide(content)
    assert MARKER not in done.content
    assert b"2024" not in done.content
    image = decode(done.content)
    assert image.info.get("icc_profile") == (icc_profile if file_format != "BMP" else None)
    assert set(image.getexif()) <= PIXEL_TAGS


# Tags without which a TIFF cannot be read.
PIXEL_TAGS = {256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 338, 339, 34675}


def test_jpeg_holds_nothing_but_what_decodes_it() -> None:
    content = with_metadata(noise(300, 200), "JPEG", MARKER, icc_profile=SRGB)
    assert {0xE1, 0xED, 0xEC, 0xFE} <= {marker for marker, _ in jpeg_segments(content)}
    done = hide(content).content
    jfif, profile, tables, frame, huffman = 0xE0, 0xE2, 0xDB, 0xC0, 0xC4
    assert {marker for marker, _ in jpeg_segments(done)} == {jfif, profile, tables, frame, huffman}
    assert done.endswith(b"\xff\xd9")
    assert done.count(b"\xff\xd9") == 1


def test_png_holds_nothing_but_what_decodes_it() -> None:
    content = with_metadata(noise(300, 200), "PNG", MARKER, icc_profile=SRGB)
    assert {b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"prVt", b""} <= {kind for kind, _ in png_chunks(content)}
    assert {kind for kind, _ in png_chunks(hide(content).content)} == {b"IHDR", b"iCCP", b"IDAT", b"IEND"}


def test_webp_holds_nothing_but_what_decodes_it() -> None:
    content = with_metadata(noise(300, 200, "RGBA"), "WEBP", MARKER, icc_profile=SRGB)
    assert {b"EXIF", b"XMP ", b"PRVT"} <= set(riff_chunks(content[: -len(MARKER)]))
    assert set(riff_chunks(hide(content).content)) == {b"VP8X", b"ICCP", b"ALPH", b"VP8 "}


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}], ids=["raw", "LZW"])
def test_tiff_holds_nothing_but_what_decodes_it(options: dict[str, str]) -> None:
    content = with_metadata(noise(300, 200), "TIFF", MARKER, icc_profile=SRGB, **options)
    assert {270, 315, 700, 33723} <= {tag for tag, _ in tiff_entries(content)}
    assert {tag for tag, _ in tiff_entries(hide(content).content)} <= PIXEL_TAGS


def test_thumbnail_in_exif_is_gone() -> None:
    thumbnail = encode(noise(64, 64, seed=5), "JPEG", comment=MARKER)
    exif = b"Exif\0\0II*\0" + bytes(
        (8, 0, 0, 0, 0, 0, 14, 0, 0, 0, 2, 0)
    )  # an empty directory, then one of two entries
    exif += (0x0201).to_bytes(2, "little") + bytes((4, 0, 1, 0, 0, 0, 44, 0, 0, 0))
    exif += (0x0202).to_bytes(2, "little") + bytes((4, 0, 1, 0, 0, 0)) + len(thumbnail).to_bytes(4, "little")
    exif += bytes(4) + thumbnail
    content = encode(noise(300, 200), "JPEG", exif=exif)
    assert thumbnail[20:] in content
    done = hide(content).content
    assert MARKER not in done
    assert done.count(b"\xff\xd8\xff") == 1


def test_second_picture_of_a_phone_jpeg_is_gone() -> None:
    second = Image.new("RGB", (300, 200), "red")
    content = multi_picture_jpeg(smooth(300, 200), second)
    assert content.count(b"\xff\xd8\xff") == 2
    done = hide(content).content
    assert done.count(b"\xff\xd8\xff") == 1
    assert b"MPF\0" not in done
    assert psnr(decode(done), smooth(300, 200)) > 35
    assert decode(done).format == "JPEG"
