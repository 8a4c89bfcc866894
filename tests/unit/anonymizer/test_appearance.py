"""An answer has the colours and the density of what was sent, however the file tells them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from services.anonymizer.anonymization import anonymize
from services.anonymizer.encoding import Output
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.chassis.pictures.geometry import Box
from services.chassis.pictures.icc import clean_profile
from services.chassis.pictures.icc_builder import Primaries, grey_profile, rgb_profile
from services.chassis.pictures.picture import open_picture
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import PictureLimits
from tests.support.colours import DISPLAY_P3, REC_2020, SWATCHES, chrm, cicp, gama, middles, parsed, swatches
from tests.support.pictures import LOSSLESS, decode, encode, noise, png, png_chunk, png_chunks, with_png_chunks

LIMITS = PictureLimits(max_bytes=4_000_000, max_pixels=1_000_000)
TARGETS = [None, PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP]
BEST_JPEG = {"quality": 100, "subsampling": 0}
CORNER = Region(box=Box(x_min=0, y_min=0, x_max=6, y_max=6), landmarks={})


def linear() -> bytes:
    red, green, blue, white = DISPLAY_P3
    profile = rgb_profile(Primaries(red=red, green=green, blue=blue, white=white), 1.0)
    assert profile is not None
    return profile


def answer(content: bytes, target: PictureFormat | None = None) -> bytes:
    return anonymize(content, [CORNER], Redaction(), limits=LIMITS, output=Output(format=target)).content


def png_with(*chunks: bytes, mode: str = "RGB", **options: object) -> bytes:
    return with_png_chunks(encode(swatches(mode), "PNG", **options), b"".join(chunks))


def adobe_rgb(file_format: str) -> bytes:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    options = BEST_JPEG if file_format == "JPEG" else LOSSLESS["WEBP"]
    return encode(swatches(), file_format, exif=exif.tobytes(), **options)


def heif() -> bytes:
    pillow_heif.register_heif_opener()
    options = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6, "full_range_flag": 1}
    return encode(swatches(), "HEIF", quality=100, chroma=444, **options)


def deep(*chunks: bytes) -> bytes:
    samples = np.asarray(swatches()).astype(np.uint16) * 257
    return png(samples, colour_type=2, bits=16, ancillary=b"".join(chunks))


COLOURED: dict[str, Callable[[], bytes]] = {
    "gAMA": lambda: png_with(gama(100_000)),
    "gAMA and cHRM": lambda: png_with(gama(55_556), chrm(REC_2020)),
    "gAMA of grey": lambda: png_with(gama(100_000), mode="L"),
    "cICP": lambda: png_with(cicp(12, 13)),
    "cICP of high dynamic range": lambda: png_with(cicp(9, 16)),
    "cICP beside a profile": lambda: png_with(cicp(12, 13), icc_profile=linear()),
    "16 bits, gAMA": lambda: deep(gama(100_000)),
    "16 bits, cICP": lambda: deep(cicp(12, 13)),
    "profile of grey": lambda: encode(swatches("L"), "PNG", icc_profile=grey_profile(1.0)),
    "profile of grey with alpha": lambda: encode(swatches("LA"), "PNG", icc_profile=grey_profile(1.0)),
    "JPEG, profile": lambda: encode(swatches(), "JPEG", icc_profile=linear(), **BEST_JPEG),
    "JPEG, Adobe RGB of EXIF": lambda: adobe_rgb("JPEG"),
    "WebP, Adobe RGB of EXIF": lambda: adobe_rgb("WEBP"),
    "TIFF, profile": lambda: encode(swatches(), "TIFF", icc_profile=linear()),
    "HEIF, nclx": heif,
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", COLOURED)
def test_colours_stay(kind: str, target: PictureFormat | None) -> None:
    content = COLOURED[kind]()
    before, after = (middles(open_picture(file, LIMITS).rgb())[1:] for file in (content, answer(content, target)))
    # what JPEG and WebP round off is more where a curve is steep: in linear light 9 is 53, and 8 is 50
    assert np.abs(before - after).max() <= (14 if target else 9)
    assert np.abs(before - after).mean() <= 3


@pytest.mark.parametrize(("kind", "kept"), [("gAMA and cHRM", {b"gAMA", b"cHRM"}), ("16 bits, cICP", {b"cICP"})])
def test_numbers_of_a_png_stay_in_a_png(kind: str, kept: set[bytes]) -> None:
    before, after = dict(png_chunks(COLOURED[kind]())), dict(png_chunks(answer(COLOURED[kind]())))
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert set(after) == {b"IHDR", b"IDAT", b"IEND"} | kept


def test_numbers_of_another_length_do_not_stay() -> None:
    content = png_with(png_chunk(b"gAMA", b"a text"), png_chunk(b"cHRM", bytes(40)), png_chunk(b"sRGB", b"text"))
    assert {name for name, _ in png_chunks(answer(content))} == {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.parametrize("target", [PictureFormat.JPEG, PictureFormat.WEBP])
def test_profile_is_made_of_the_tags_that_it_has_to_have(target: PictureFormat) -> None:
    profile = decode(answer(COLOURED["gAMA and cHRM"](), target)).info["icc_profile"]
    names = {profile[at : at + 4] for at in range(132, 132 + 12 * int.from_bytes(profile[128:132]), 12)}
    assert names == {b"desc", b"cprt", b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"}
    assert parsed(profile).profile.xcolor_space == "RGB "


def test_jpeg_in_adobe_rgb_keeps_its_coefficients_and_gains_the_profile() -> None:
    content = adobe_rgb("JPEG")
    after = decode(answer(content))
    assert np.array_equal(np.asarray(after)[:, 32:], np.asarray(decode(content))[:, 32:])
    assert parsed(after.info["icc_profile"]).profile.red_primary is not None
    assert "exif" not in after.info


def test_bmp_keeps_its_profile() -> None:
    profile = linear()
    pixels = np.asarray(swatches())[::-1, :, ::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, swatches().width, swatches().height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    header += bytes(16) + b"DEBM" + bytes(48) + struct.pack("<4I", 4, 124 + len(pixels), len(profile), 0)
    content = struct.pack("<2sIII", b"BM", 138 + len(pixels) + len(profile), 0, 138) + header + pixels + profile
    after = answer(content)
    assert after.endswith(clean_profile(profile, channels="RGB") or profile)
    assert np.array_equal(np.asarray(decode(after))[:, 16:], np.asarray(swatches())[:, 16:])
    before, shown = (middles(open_picture(file, LIMITS).rgb())[1:] for file in (content, after))
    assert np.array_equal(before, shown)
    assert not np.array_equal(before, SWATCHES[1:])


# Density


def by_exif(file_format: str, *, unit: int = 2, orientation: int = 1, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128], exif[0x0112] = 300.0, 150.0, unit, orientation
    return encode(noise(60, 40), file_format, exif=exif.tobytes(), **options)


def told(content: bytes) -> tuple[float, float] | None:
    """Pixels an inch of an answer; of WebP as its EXIF says."""
    image = decode(content)
    if image.format != "WEBP":
        density = image.info.get("dpi")
        return (float(density[0]), float(density[1])) if density else None
    exif = Image.open(io.BytesIO(content)).getexif()
    return (float(exif[0x011A]), float(exif[0x011B])) if 0x011A in exif else None


DENSE: dict[str, Callable[[], bytes]] = {
    **{
        name: lambda name=name: encode(noise(60, 40), name, dpi=(300, 150))  # type: ignore[misc]
        for name in ("JPEG", "PNG", "BMP", "TIFF")
    },
    "PNG of 16 bits": lambda: encode(noise(60, 40, "I;16"), "PNG", dpi=(300, 150)),
    "RGBA as PNG": lambda: encode(noise(60, 40, "RGBA"), "PNG", dpi=(300, 150)),
    "EXIF of JPEG": lambda: by_exif("JPEG"),
    "EXIF of WebP": lambda: by_exif("WEBP"),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", DENSE)
def test_density_stays(kind: str, target: PictureFormat | None) -> None:
    assert told(answer(DENSE[kind](), target)) == pytest.approx((300, 150), abs=0.02)


def test_density_of_inks_stays() -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 300.0, 300.0, 2
    content = encode(noise(60, 40, "CMYK"), "JPEG", exif=exif.tobytes())
    assert told(answer(content)) == (300, 300)


def test_density_a_centimetre_stays() -> None:
    assert told(answer(by_exif("WEBP", unit=3))) == pytest.approx((762, 381))


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_density_is_turned_with_the_picture(file_format: str) -> None:
    content = by_exif(file_format, orientation=6, **{"dpi": (300, 150)} if file_format == "PNG" else {})  # type: ignore[arg-type]
    assert told(answer(content)) == pytest.approx((150, 300), abs=0.02)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_picture_without_a_density_gets_none(file_format: str) -> None:
    assert told(answer(encode(noise(60, 40), file_format))) is None
    assert "exif" not in decode(answer(encode(noise(60, 40), file_format))).info
