"""The file format of the answer: as the picture came, or as asked, and what is said where something is lost."""

from __future__ import annotations

import numpy as np
import pillow_heif
import pytest
from PIL import Image, JpegImagePlugin

from services.anonymizer.anonymization import Anonymized, anonymize
from services.anonymizer.encoding import AS_IT_CAME, Output
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.anonymizer.styles import Solid
from services.chassis.errors import InvalidRequest
from services.chassis.pictures.geometry import Box
from services.chassis.pictures.icc import clean_profile
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import FORMATS, decode, encode, noise, png, smooth
from tests.support.profiles import D50, SRGB, curve, profile, xyz

LIMITS = PictureLimits(max_bytes=4_000_000, max_pixels=1_000_000)
FACE = Region(box=Box(x_min=60, y_min=40, x_max=100, y_max=100), landmarks={})
IN_FACE = (80, 70)
AS_JPEG, AS_PNG, AS_WEBP = (Output(format=f) for f in (PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP))


def hide(content: bytes, output: Output = AS_IT_CAME) -> Anonymized:
    return anonymize(content, [FACE], Redaction(style=Solid()), limits=LIMITS, output=output)


def heif(image: Image.Image, **options: object) -> bytes:
    pillow_heif.register_heif_opener()
    return encode(image, "HEIF", quality=95, chroma=444, **options)


def pixel(image: Image.Image, at: tuple[int, int]) -> list[int]:
    x, y = at
    samples: list[int] = np.asarray(image)[y, x].tolist()
    return samples


def half_transparent() -> Image.Image:
    """Red, its left half fully transparent."""
    image = Image.new("RGBA", (200, 150), (255, 0, 0, 255))
    image.paste((255, 0, 0, 0), (0, 0, 100, 150))
    return image


def test_heif_is_answered_as_jpeg_and_the_answer_says_so() -> None:
    done = hide(heif(smooth(200, 150), icc_profile=SRGB))
    image = decode(done.content)
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    assert (done.media_type, image.size) == ("image/jpeg", (200, 150))
    assert done.notice == "HEIF is read but not written: this is JPEG."
    assert JpegImagePlugin.get_sampling(image) == 0
    assert image.info["icc_profile"] == SRGB
    assert max(pixel(image, IN_FACE)) < 8
    beside = np.s_[:, 120:]
    assert np.abs(np.asarray(image)[beside].astype(int) - np.asarray(smooth(200, 150))[beside]).mean() < 3


def test_heif_with_alpha_is_answered_as_png() -> None:
    done = hide(heif(half_transparent()))
    image = decode(done.content)
    assert (image.format, image.mode, done.media_type) == ("PNG", "RGBA", "image/png")
    assert pixel(image, (10, 10))[3] == 0
    assert pixel(image, (190, 10))[3] == 255


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("output", [AS_JPEG, AS_PNG, AS_WEBP], ids=["JPEG", "PNG", "WEBP"])
def test_format_asked_for_is_answered(file_format: str, output: Output) -> None:
    done = hide(encode(smooth(200, 150), file_format), output)
    assert output.format
    image = decode(done.content)
    assert (image.format, image.size) == (output.format.value, (200, 150))
    assert done.media_type == output.format.media_type
    assert max(pixel(image, IN_FACE)) < 8
    assert np.abs(np.asarray(image).astype(int) - np.asarray(smooth(200, 150)))[:, 120:].mean() < 5


def test_heif_becomes_what_is_asked_for_without_a_word() -> None:
    done = hide(heif(smooth(200, 150)), AS_PNG)
    assert (decode(done.content).format, done.notice) == ("PNG", "")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_picture_stands_on_white_as_jpeg_and_the_answer_says_so(mode: str) -> None:
    done = hide(encode(half_transparent().convert(mode), "PNG"), AS_JPEG)
    image = decode(done.content).convert("RGB")
    assert min(pixel(image, (10, 10))) > 250
    assert pixel(image, (190, 10))[1] < 90
    assert max(pixel(image, IN_FACE)) < 30
    assert done.notice == "JPEG has no transparency: transparent pixels are now white."


@pytest.mark.parametrize("output", [AS_JPEG, AS_PNG, AS_WEBP], ids=["JPEG", "PNG", "WEBP"])
def test_sixteen_bits_stay_where_the_format_asked_for_has_them(output: Output) -> None:
    samples = np.full((150, 200, 3), 0x80FF, np.uint16)
    content = hide(png(samples, colour_type=2, bits=16), output).content
    if output is AS_PNG:
        assert content[24] == 16  # IHDR's bit depth
    else:
        assert np.abs(np.asarray(decode(content))[10, 190].astype(int) - 0x80).max() <= 1


def test_profile_of_grey_is_left_out_of_webp_which_has_colours_alone() -> None:
    greys = profile({b"kTRC": curve([563]), b"wtpt": xyz(D50)}, space=b"GRAY")
    content = encode(noise(200, 150, "L"), "PNG", icc_profile=greys)
    assert decode(hide(content).content).info["icc_profile"] == clean_profile(greys, channels="L")
    assert "icc_profile" not in decode(hide(content, AS_WEBP).content).info


@pytest.mark.parametrize("output", [AS_PNG, AS_WEBP], ids=["PNG", "WEBP"])
def test_cmyk_is_not_turned_into_other_colours(output: Output) -> None:
    content = encode(noise(200, 150, "CMYK"), "TIFF")
    with pytest.raises(InvalidRequest, match="cannot hold the picture's CMYK colours; ask for no format, or for JPEG"):
        hide(content, output)
    assert decode(hide(content, AS_JPEG).content).mode == "CMYK"


@pytest.mark.parametrize(("output", "side"), [(AS_JPEG, 65_501), (AS_WEBP, 16_384)], ids=["JPEG", "WEBP"])
def test_picture_too_long_for_the_format_asked_for_is_refused(output: Output, side: int) -> None:
    content = encode(Image.new("L", (side, 1)), "PNG")
    with pytest.raises(InvalidRequest, match=f"has at most {side - 1} pixels a side; ask for PNG"):
        hide(content, output)
    assert hide(content, AS_PNG).width_px == side
    assert hide(encode(Image.new("L", (side - 1, 1)), "PNG"), output).width_px == side - 1
