"""What a file holds and its answer does not, as far as people would miss it: in words, for the notice.

Metadata is not among it: that it goes is what an answer is for.
"""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from services.anonymizer.encoding import Encoded, is_lossless
from services.chassis.pictures import decoding
from services.chassis.pictures.picture import Picture
from services.chassis.pictures.picture_format import PictureFormat

PROFILE = "The file's colour profile cannot be read, or does not fit its pixels, and was left out: colours may differ."
GAIN_MAP = "The picture's gain map, by which HDR screens show it brighter, is not in the answer."
OTHER_PICTURES = "The file holds several pictures: the answer has only the first."
VIDEO = "The short video that belongs to the picture is not in the answer."
LOSSY = "Lossless JPEG is read but not written: this one is lossy, at quality 92. Ask for PNG to lose nothing."

# Source: Google's Ultra HDR Image Format v1, ISO 21496-1, and Apple's name for its own.
_GAIN_MAPS = (b"hdrgm:Version", b"urn:iso:std:iso:ts:21496:-1", b"hdrgainmap", b"HDRGainMap")
_VIDEOS = (b"MotionPhoto", b"MicroVideo")  # Source: Google's Motion Photo Format 1.0 and its predecessor
_MULTI_PICTURE = "MPO"
_SUB_DIRECTORIES = 330


def losses(source: Picture, answer: Encoded) -> list[str]:
    """A sentence for each loss."""
    header = source.header()
    return [*_profile(header, answer), *_companions(header, source), *_compression(header, answer)]


def _profile(header: Image.Image, answer: Encoded) -> Iterator[str]:
    if "icc_profile" in header.info and not decoding.open_file(answer.content).info.get("icc_profile"):
        yield PROFILE


def _companions(header: Image.Image, source: Picture) -> Iterator[str]:
    """What else the file shows, on some screens or when it is touched."""
    if isinstance(header, TiffImagePlugin.TiffImageFile) and _SUB_DIRECTORIES in header.tag_v2:
        yield OTHER_PICTURES  # of a camera's raw file the first may be a small version
    if source.format not in (PictureFormat.JPEG, PictureFormat.HEIF):
        return
    several = header.format == _MULTI_PICTURE or (
        source.format is PictureFormat.HEIF and decoding.has_second_frame(header)
    )
    segments = header.applist if isinstance(header, JpegImagePlugin.JpegImageFile) else []
    searched = [source.content] if several or source.format is PictureFormat.HEIF else [data for _, data in segments]
    if any(name in data for data in searched for name in _GAIN_MAPS):
        yield GAIN_MAP
    elif several:
        yield OTHER_PICTURES
    if any(name in data for data in [data for _, data in segments] for name in _VIDEOS):
        yield VIDEO


def _compression(header: Image.Image, answer: Encoded) -> Iterator[str]:
    if (
        isinstance(header, JpegImagePlugin.JpegImageFile)
        and is_lossless(header)
        and answer.format is PictureFormat.JPEG
    ):
        yield LOSSY
