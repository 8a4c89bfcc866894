"""What is searched is what a screen shows, however a file tells its colours."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from services.chassis.pictures.colour import colour_profile
from services.chassis.pictures.icc_builder import Primaries, grey_profile, rgb_profile
from services.chassis.pictures.picture import open_picture
from services.chassis.pictures.srgb import to_srgb
from services.chassis.process.settings import PictureLimits
from tests.support.colours import (
    ADOBE_RGB,
    DISPLAY_P3,
    REC_2020,
    SRGB,
    SWATCHES,
    Corners,
    as_shown,
    chrm,
    cicp,
    gama,
    gamma,
    middles,
    parsed,
    srgb_light,
    swatches,
)
from tests.support.pictures import LOSSLESS, encode, png, png_chunk, with_png_chunks

LIMITS = PictureLimits(max_bytes=1_000_000, max_pixels=1_000_000)
BEST_JPEG = {"quality": 100, "subsampling": 0}


def made(corners: Corners, curve: float) -> bytes:
    red, green, blue, white = corners
    profile = rgb_profile(Primaries(red=red, green=green, blue=blue, white=white), curve)
    assert profile is not None
    return profile


LINEAR, LINEAR_GREY = made(SRGB, 1.0), grey_profile(1.0)
STANDARD = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png_with(*chunks: bytes, palette: bool = False, **options: object) -> bytes:
    image = swatches().quantize(len(SWATCHES)) if palette else swatches()
    return with_png_chunks(encode(image, "PNG", **options), b"".join(chunks), before=b"PLTE" if palette else b"IDAT")


def adobe_rgb_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    return encode(swatches(), "JPEG", exif=exif.tobytes(), **BEST_JPEG)


def bmp_with_profile(profile: bytes) -> bytes:
    """With a BITMAPV5HEADER that says the profile is in the file."""
    pixels = np.asarray(swatches())[::-1, :, ::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, swatches().width, swatches().height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    header += bytes(16) + b"DEBM" + bytes(48) + struct.pack("<4I", 4, 124 + len(pixels), len(profile), 0)
    return struct.pack("<2sIII", b"BM", 138 + len(pixels) + len(profile), 0, 138) + header + pixels + profile


def heif(primaries: int, transfer: int) -> bytes:
    pillow_heif.register_heif_opener()
    options = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 6}
    return encode(swatches(), "HEIF", quality=100, chroma=444, full_range_flag=1, **options)


FILES: dict[str, tuple[Callable[[], bytes], Corners, NDArray[np.float64]]] = {
    "PNG, gAMA": (lambda: png_with(gama(100_000)), SRGB, gamma(1)),
    "PNG, gAMA of a Macintosh": (lambda: png_with(gama(55_556)), SRGB, gamma(1.8)),
    "PNG, gAMA and cHRM": (lambda: png_with(gama(100_000), chrm(REC_2020)), REC_2020, gamma(1)),
    "PNG, gAMA of a palette": (lambda: png_with(gama(100_000), palette=True), SRGB, gamma(1)),
    "PNG, a broken profile before gAMA": (
        lambda: png_with(gama(100_000), icc_profile=b"no profile" * 50),
        SRGB,
        gamma(1),
    ),
    "PNG, cICP": (lambda: png_with(cicp(12, 13)), DISPLAY_P3, srgb_light()),
    "PNG, cICP before a profile": (lambda: png_with(cicp(12, 13), icc_profile=LINEAR), DISPLAY_P3, srgb_light()),
    "PNG, cICP of linear light": (lambda: png_with(cicp(1, 8)), SRGB, gamma(1)),
    "PNG, profile before gAMA": (lambda: png_with(gama(45_455), icc_profile=LINEAR), SRGB, gamma(1)),
    "PNG, sRGB before gAMA": (lambda: png_with(png_chunk(b"sRGB", b"\0"), gama(100_000)), SRGB, srgb_light()),
    "PNG, cHRM alone": (lambda: png_with(chrm(REC_2020)), SRGB, srgb_light()),
    "PNG, the text IDAT before gAMA": (
        lambda: png_with(png_chunk(b"tEXt", b"Comment\0an IDAT"), gama(100_000)),
        SRGB,
        gamma(1),
    ),
    "JPEG, profile": (lambda: encode(swatches(), "JPEG", icc_profile=LINEAR, **BEST_JPEG), SRGB, gamma(1)),
    "JPEG, EXIF's Adobe RGB": (adobe_rgb_jpeg, ADOBE_RGB, gamma(563 / 256)),
    "JPEG, a link": (
        lambda: encode(swatches(), "JPEG", icc_profile=LINEAR[:12] + b"link" + LINEAR[16:], **BEST_JPEG),
        SRGB,
        gamma(1),
    ),
    "JPEG, cut off profile": (
        lambda: encode(swatches(), "JPEG", icc_profile=LINEAR[:200], **BEST_JPEG),
        SRGB,
        srgb_light(),
    ),
    "JPEG, profile of greys": (
        lambda: encode(swatches(), "JPEG", icc_profile=LINEAR_GREY, **BEST_JPEG),
        SRGB,
        srgb_light(),
    ),
    "JPEG, standard profile": (
        lambda: encode(swatches(), "JPEG", icc_profile=STANDARD, **BEST_JPEG),
        SRGB,
        srgb_light(),
    ),
    "WebP, profile": (
        lambda: encode(swatches(), "WEBP", icc_profile=made(DISPLAY_P3, 2.2), **LOSSLESS["WEBP"]),
        DISPLAY_P3,
        gamma(563 / 256),
    ),
    "TIFF, profile": (lambda: encode(swatches(), "TIFF", icc_profile=LINEAR), SRGB, gamma(1)),
    "BMP, profile": (lambda: bmp_with_profile(LINEAR), SRGB, gamma(1)),
}


@pytest.mark.parametrize("kind", FILES)
def test_search_sees_what_a_screen_shows(kind: str) -> None:
    make, corners, light = FILES[kind]
    picture = open_picture(make(), LIMITS)
    assert np.abs(middles(picture.rgb()) - as_shown(SWATCHES, corners, light)).max() <= 3
    smaller = picture.rgb(long_side_px=64)
    assert np.abs(middles(smaller, 8) - as_shown(SWATCHES, corners, light)).max() <= 3


@pytest.mark.parametrize(
    ("primaries", "transfer", "corners", "light"),
    [
        (12, 13, DISPLAY_P3, srgb_light()),
        (1, 1, SRGB, srgb_light()),
        (2, 2, SRGB, srgb_light()),
        (1, 8, SRGB, gamma(1)),
    ],
)
def test_nclx_of_heif_is_heeded(primaries: int, transfer: int, corners: Corners, light: NDArray[np.float64]) -> None:
    shown = middles(open_picture(heif(primaries, transfer), LIMITS).rgb())
    assert np.abs(shown - as_shown(SWATCHES, corners, light))[:-1].max() <= 8


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("profile", [LINEAR, LINEAR_GREY], ids=["RGB", "grey"])
def test_grey_with_a_profile_is_shown_by_it(file_format: str, profile: bytes) -> None:
    content = encode(swatches("L"), file_format, icc_profile=profile)
    stored = middles(np.asarray(swatches("L"))[..., None].repeat(3, axis=2)).astype(np.uint8)
    assert np.abs(middles(open_picture(content, LIMITS).rgb()) - as_shown(stored, SRGB, gamma(1))).max() <= 2


def test_inks_are_shown_by_their_profile_where_they_have_one() -> None:
    content = encode(swatches("CMYK"), "JPEG", icc_profile=LINEAR, **BEST_JPEG)  # which is none of inks
    assert np.abs(middles(open_picture(content, LIMITS).rgb()) - SWATCHES).max() <= 3


@pytest.mark.parametrize("colour_type", [0, 2, 4, 6])
def test_dark_tones_of_linear_light_are_not_lost_of_sixteen_bits(colour_type: int) -> None:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    ramp = np.linspace(0, 0x0400, 512).astype(np.uint16)
    samples = np.broadcast_to(ramp[None, :, None], (4, 512, channels)).copy()
    if channels % 2 == 0:
        samples[..., -1] = 0xFFFF
    content = png(samples, colour_type=colour_type, bits=16, ancillary=gama(100_000))
    shown = open_picture(content, LIMITS).rgb()[0, :, 0].astype(int)
    linear = ramp / 0xFFFF
    wanted = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(shown - wanted).max() <= 4
    assert len(np.unique(shown)) > 25


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_colours_under_a_half_transparent_pixel_are_managed_first(file_format: str) -> None:
    image = swatches()
    image.putalpha(128)
    content = encode(image, file_format, icc_profile=LINEAR, **LOSSLESS.get(file_format, {}))
    wanted = as_shown(SWATCHES, SRGB, gamma(1)) * (128 / 255) + 127
    assert np.abs(middles(open_picture(content, LIMITS).rgb()) - wanted).max() <= 3


def test_profile_that_shows_what_srgb_shows_costs_no_conversion() -> None:
    red, green, blue, white = SRGB
    signal = np.linspace(0, 1, 1024)
    curve = list(np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4))
    own = rgb_profile(Primaries(red=red, green=green, blue=blue, white=white), curve)
    assert to_srgb(own).changes_nothing
    assert to_srgb(STANDARD).changes_nothing
    assert to_srgb(None).changes_nothing
    assert not to_srgb(made(DISPLAY_P3, 2.2)).changes_nothing


@pytest.mark.parametrize("content", [made(ADOBE_RGB, 2.2), LINEAR_GREY])
def test_profiles_that_are_made_can_be_read(content: bytes) -> None:
    profile = parsed(content)
    assert profile.profile.version == pytest.approx(2.4)
    assert len(content) == int.from_bytes(content[:4])


@settings(deadline=None)
@given(numbers=st.lists(st.integers(0, 2**32 - 1), min_size=9, max_size=9))
def test_no_numbers_of_a_png_are_too_strange(numbers: list[int]) -> None:
    chunks = png_chunk(b"gAMA", struct.pack(">I", numbers[0])) + png_chunk(b"cHRM", struct.pack(">8I", *numbers[1:]))
    assert open_picture(with_png_chunks(encode(swatches(), "PNG"), chunks), LIMITS).rgb().shape == (16, 128, 3)


@settings(deadline=None)
@given(code=st.binary(min_size=4, max_size=4))
def test_no_code_points_of_a_png_are_too_strange(code: bytes) -> None:
    content = with_png_chunks(encode(swatches(), "PNG"), png_chunk(b"cICP", code))
    assert open_picture(content, LIMITS).rgb().shape == (16, 128, 3)


@settings(deadline=None)
@given(noise=st.binary(max_size=600), kept=st.integers(0, len(LINEAR)))
def test_no_profile_is_too_strange(noise: bytes, kept: int) -> None:
    content = encode(swatches(), "PNG", icc_profile=LINEAR[:kept] + noise or b"none")
    assert open_picture(content, LIMITS).rgb().shape == (16, 128, 3)


def test_picture_that_tells_nothing_has_no_profile() -> None:
    content = encode(swatches(), "PNG")
    assert colour_profile(open_picture(content, LIMITS).header(), content) is None
