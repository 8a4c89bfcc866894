"""What calls itself a colour profile is answered as a profile that holds nothing but colour, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

import pillow_heif
import pytest
from PIL import Image
from skimage import data

from services.anonymizer.anonymization import anonymize
from services.anonymizer.encoding import AS_IT_CAME, Output
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.chassis.pictures.geometry import Box
from services.chassis.pictures.icc import clean_profile
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import decode, encode, smooth, with_jpeg_segment
from tests.support.profiles import SRGB_FORMULA, matrix_tags, profile

LIMITS = PictureLimits(max_bytes=4_000_000, max_pixels=1_000_000)
HIDDEN = Region(box=Box(x_min=100, y_min=60, x_max=160, y_max=140), landmarks={})
TEXT = b"taken at 12 Example Street, serial 4711"
FACE = encode(Image.fromarray(data.astronaut()).crop((144, 40, 304, 168)), "JPEG", quality=70)
SERIAL = {b"dmnd": b"text" + bytes(4) + TEXT, b"MS00": b"PRIV" + FACE}
TELLING = profile(matrix_tags("Display P3", SRGB_FORMULA) | SERIAL, identity=b"Camera of Alice!") + TEXT + FACE
PROFILES: Mapping[str, bytes] = {
    "a face": FACE,
    "a text and a face": TEXT + FACE,
    "a profile that tells": TELLING,
    "a profile whose curve is a face": profile(
        {**matrix_tags("sRGB", SRGB_FORMULA), b"rTRC": b"curv" + bytes(4) + (len(FACE) // 2).to_bytes(4) + FACE}
    ),
}
FORMATS = {"JPEG": {"quality": 90}, "PNG": {}, "WEBP": {}, "TIFF": {}, "HEIF": {}}
OUTPUTS = [AS_IT_CAME, *(Output(format=one) for one in (PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP))]


@pytest.fixture(autouse=True)
def heif_writer() -> None:
    """Pillow writes HEIF with it."""
    pillow_heif.register_heif_opener()


@pytest.mark.parametrize("kind", PROFILES)
@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("output", OUTPUTS, ids=["as it came", "JPEG", "PNG", "WebP"])
def test_nothing_of_it_but_colour_is_answered(kind: str, file_format: str, output: Output) -> None:
    content = encode(smooth(300, 200), file_format, icc_profile=PROFILES[kind], **FORMATS[file_format])
    answer = anonymize(content, [HIDDEN], Redaction(), limits=LIMITS, output=output).content
    kept = decode(answer).info.get("icc_profile") or b""
    assert kept == (clean_profile(PROFILES[kind], channels="RGB") or b"")
    for part in (TEXT, FACE[:200], FACE[-200:], b"Alice"):
        assert part not in kept
        assert part not in answer
    assert bool(kept) == (kind == "a profile that tells")


@pytest.mark.parametrize("numbers", [(1, 1), (2, 3), (1, 255), (0, 1)])
def test_segment_that_calls_itself_a_profile_and_holds_a_face_is_gone(numbers: tuple[int, int]) -> None:
    content = with_jpeg_segment(encode(smooth(300, 200), "JPEG"), 0xE2, b"ICC_PROFILE\0" + bytes(numbers) + FACE)
    answer = anonymize(content, [HIDDEN], Redaction(), limits=LIMITS).content
    assert FACE[:200] not in answer
    assert answer.count(b"\xff\xd8\xff") == 1
    assert b"ICC_PROFILE" not in answer
