"""The notice tells what a file held beside its picture, as far as people would miss it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image, TiffImagePlugin

from services.anonymizer import losses
from services.anonymizer.anonymization import Anonymized, anonymize
from services.anonymizer.encoding import Output
from services.anonymizer.jpeg import redaction as jpeg_redaction
from services.anonymizer.jpeg.turbojpeg import LIBRARY, load_turbojpeg
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.chassis.errors import InvalidPicture
from services.chassis.pictures.geometry import Box
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import decode, encode, multi_picture_jpeg, smooth, with_jpeg_segment
from tests.support.profiles import LCMS_SRGB
from tests.support.rare_jpegs import START, lossless_jpeg, segment

LIMITS = PictureLimits(max_bytes=4_000_000, max_pixels=1_000_000)
FACE = Region(box=Box(x_min=30, y_min=20, x_max=60, y_max=50), landmarks={})
PICTURE = smooth(120, 80)
JPEG = encode(PICTURE, "JPEG", quality=90)
XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>%s</x:xmpmeta>"

needs_turbojpeg = pytest.mark.skipif(load_turbojpeg() is None, reason="libturbojpeg is not installed")


@pytest.fixture(autouse=True)
def heif_writer() -> None:
    """Pillow writes HEIF with it."""
    pillow_heif.register_heif_opener()


def hide(content: bytes, output: PictureFormat | None = None) -> Anonymized:
    return anonymize(content, [FACE], Redaction(), limits=LIMITS, output=Output(format=output))


def test_ordinary_pictures_lose_nothing() -> None:
    for file_format in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
        assert hide(encode(PICTURE, file_format, **_profile(file_format))).notice == ""


def _profile(file_format: str) -> dict[str, bytes]:
    return {} if file_format == "BMP" else {"icc_profile": LCMS_SRGB}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("profile", [b"no profile", LCMS_SRGB[:200]], ids=["text", "cut"])
def test_profile_that_is_left_out_is_told(file_format: str, profile: bytes) -> None:
    done = hide(encode(PICTURE, file_format, icc_profile=profile))
    assert done.notice == losses.PROFILE
    assert not decode(done.content).info.get("icc_profile")


def test_profile_of_other_colours_is_told() -> None:
    assert losses.PROFILE in hide(encode(PICTURE.convert("CMYK"), "JPEG", icc_profile=LCMS_SRGB)).notice


def test_second_picture_of_a_file_is_told() -> None:
    assert hide(multi_picture_jpeg(PICTURE, PICTURE)).notice == losses.OTHER_PICTURES


def test_second_picture_of_heif_is_told() -> None:
    second = Image.new("RGB", PICTURE.size, "red")
    content = encode(PICTURE, "HEIF", save_all=True, append_images=[second])
    assert losses.OTHER_PICTURES in hide(content).notice


def test_further_pictures_of_a_raw_file_are_told() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[330] = 8
    assert hide(encode(PICTURE, "TIFF", tiffinfo=tags)).notice == losses.OTHER_PICTURES


@pytest.mark.parametrize(
    "told",
    [segment(0xE1, XMP % b'hdrgm:Version="1.0"'), segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")],
    ids=["Ultra HDR", "ISO"],
)
def test_gain_map_is_told(told: bytes) -> None:
    content = START + told + multi_picture_jpeg(PICTURE, PICTURE)[2:]
    assert hide(content).notice == losses.GAIN_MAP


def test_gain_map_of_heif_is_told() -> None:
    content = encode(PICTURE, "HEIF") + b"\0\0\0\x30free" + b"urn:com:apple:photo:2020:aux:hdrgainmap\0"
    assert losses.GAIN_MAP in hide(content).notice


def test_video_of_a_picture_is_told() -> None:
    content = with_jpeg_segment(JPEG, 0xE1, XMP % b'GCamera:MotionPhoto="1"') + b"\0\0\0\x18ftypmp42"
    assert hide(content).notice == losses.VIDEO


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossless_jpeg_is_answered_with_what_it_loses(mode: str) -> None:
    image = smooth(120, 80).convert(mode)
    done = hide(lossless_jpeg(image))
    assert losses.LOSSY in done.notice
    after = decode(done.content)
    assert (after.format, after.mode) == ("JPEG", mode)
    assert np.abs(np.asarray(after)[60:].astype(int) - np.asarray(image)[60:]).max() <= 8


def test_lossless_jpeg_as_png_loses_nothing() -> None:
    done = hide(lossless_jpeg(PICTURE), PictureFormat.PNG)
    assert done.notice == ""
    assert np.array_equal(np.asarray(decode(done.content))[60:], np.asarray(PICTURE)[60:])


ARITHMETIC = """
import ctypes, sys, numpy as np
library = ctypes.CDLL(sys.argv[1])
library.tjInitCompress.restype = ctypes.c_void_p
y, x = np.mgrid[0:80, 0:120]
pixels = np.ascontiguousarray(np.stack([x * 2, y * 3, x + y], axis=-1).astype(np.uint8))
data, size = ctypes.c_void_p(), ctypes.c_ulong()
library.tjCompress2(ctypes.c_void_p(library.tjInitCompress()), pixels.ctypes.data_as(ctypes.c_void_p), 120, 0, 80, 0,
                    ctypes.byref(data), ctypes.byref(size), 0, 90, int(sys.argv[2]))
sys.stdout.buffer.write(ctypes.string_at(data.value, size.value))
"""


@needs_turbojpeg
@pytest.mark.parametrize(("flags", "kind"), [(0, 0xC9), (16384, 0xCA)], ids=["sequential", "progressive"])
def test_arithmetic_jpeg_is_answered_as_one_that_browsers_show(flags: int, kind: int) -> None:
    command = [sys.executable, "-c", ARITHMETIC, LIBRARY, str(flags)]
    made = subprocess.run(
        command, env={**os.environ, "TJ_ARITHMETIC": "1"}, capture_output=True, check=True, timeout=60
    )
    assert bytes((0xFF, kind)) in made.stdout
    answer = hide(made.stdout).content
    assert bytes((0xFF, kind)) not in answer[:1000]
    difference = np.asarray(decode(answer)).astype(int) - np.asarray(decode(made.stdout))
    assert np.abs(difference[64:]).max() == 0


@needs_turbojpeg
@pytest.mark.parametrize("kind", ["two starts", "no end", "zeros instead of an end", "bytes between segments"])
def test_odd_jpeg_is_changed_in_its_coefficients_alone(kind: str) -> None:
    odd = {
        "two starts": START + JPEG,
        "no end": JPEG[:-2],
        "zeros instead of an end": JPEG[:-2] + bytes(500),
        "bytes between segments": JPEG[:20] + b"\0\1" + JPEG[20:],
    }
    done = hide(odd[kind])
    assert done.notice == ""
    assert done.content == hide(JPEG).content


def test_truncated_jpeg_is_refused_and_not_answered_in_grey() -> None:
    with pytest.raises(InvalidPicture, match="damaged, truncated"):
        hide(JPEG[: len(JPEG) * 3 // 4])


@needs_turbojpeg
@pytest.mark.parametrize("error", [ValueError("7"), KeyError(0), ZeroDivisionError(), ctypes.ArgumentError()])
def test_jpeg_that_cannot_be_rewritten_for_any_reason_is_encoded_anew(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(jpeg_redaction, "_planes", fails)
    done = hide(JPEG)
    assert "re-encoded" in done.notice
    assert decode(done.content).size == PICTURE.size
