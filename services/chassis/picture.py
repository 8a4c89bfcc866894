"""Encoded pictures: limits checked before decoding, EXIF orientation applied, decoded as small as asked."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from services.chassis.errors import FacetError, InvalidPicture, TooLarge, UnsupportedFormat
from services.chassis.geometry import RgbImage
from services.chassis.picture_format import PictureFormat
from services.chassis.settings import PictureLimits

ACCEPTED = ", ".join(f.name for f in PictureFormat)
_DECODERS = tuple(f.value for f in PictureFormat)
_MULTI_PICTURE_JPEG = "MPO"  # a JPEG with more pictures behind it, as phones write; only the first counts
_CONVERTED_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "RGBa": "RGBA", "La": "LA"}
_DEEP_GREY_MODES = ("I;16", "I;16B", "I;16L", "I;16N")
_TREATED_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "I;16")
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112
_EXIF_IN_PNG = (b"eXIf", b"Raw profile type exif")
_START_OF_SCAN = b"\xff\xda"
_DAMAGED = "the picture is damaged, truncated or of a rare kind and cannot be decoded; save it anew as 8-bit RGB"

MAX_SCANS = 20
"""A progressive JPEG of `max_pixels` may come in so many scans, a smaller one in as many more: each is work for every
pixel, and costs its sender next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An encoded picture within the limits. Pixels are decoded by each call and not kept."""

    content: bytes
    format: PictureFormat
    width_px: int
    """Of the upright picture."""
    height_px: int
    """Of the upright picture."""
    turned: bool
    """Whether the stored picture is mirrored or turned against the upright one."""

    @property
    def long_side_px(self) -> int:
        """The longer of width and height."""
        return max(self.width_px, self.height_px)

    def rgb(self, *, long_side_px: int | None = None) -> RgbImage:
        """Decodes to upright 8-bit RGB, H x W x 3; alpha is dropped.

        Args:
            long_side_px: Shrinks the picture (area average) to this longer side where it is larger; a JPEG is decoded
                at reduced scale then. None = full size.

        Raises:
            InvalidPicture: The content is damaged.
        """
        shrink = 1.0 if long_side_px is None else min(1.0, long_side_px / self.long_side_px)
        with _hostile_content():
            image = _open(self.content)
            if shrink < 1:  # never smaller than asked for: the rest is done below, with a better filter
                image.draft(None, (max(1, int(image.width * shrink)), max(1, int(image.height * shrink))))
            pixels = np.asarray(_to_rgb(_upright(image, self.content)))
        if shrink < 1:
            size = (max(1, round(self.width_px * shrink)), max(1, round(self.height_px * shrink)))
            return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        return pixels

    def header(self) -> Image.Image:
        """The picture as Pillow opens it: nothing is decoded yet."""
        with _hostile_content():
            return _open(self.content)

    def image(self) -> Image.Image:
        """Decodes to an upright Pillow image in one of the modes L, LA, RGB, RGBA, CMYK and I;16.

        Palettes become RGB or RGBA, bilevel pictures L, a transparent colour becomes an alpha channel.

        Raises:
            InvalidPicture: The content is damaged.
        """
        with _hostile_content():
            return _upright(_open(self.content), self.content)


def open_picture(content: bytes, limits: PictureLimits) -> Picture:
    """Reads and checks a picture's header.

    Raises:
        TooLarge: Too many bytes or pixels.
        UnsupportedFormat: Not an accepted file format.
        InvalidPicture: Empty or damaged content, several frames, or a pixel type that cannot be treated.
    """
    if not content:
        raise InvalidPicture("the picture is empty; send the bytes of a picture file")
    if len(content) > limits.max_bytes:
        raise TooLarge(f"the picture has {len(content)} bytes; at most {limits.max_bytes} are accepted")
    with _hostile_content():
        image = _open(content)
        width_px, height_px = image.size
        if width_px * height_px > limits.max_pixels:
            raise TooLarge(
                f"the picture has {width_px} x {height_px} pixels; at most {limits.max_pixels} in all are accepted"
            )
        if image.mode not in (*_TREATED_MODES, *_CONVERTED_MODES, *_DEEP_GREY_MODES):
            raise InvalidPicture(f"pixels of type {image.mode} are not accepted; save it as 8-bit RGB")
        if "progressive" in image.info:
            scans = content.count(_START_OF_SCAN)
            if scans * width_px * height_px > MAX_SCANS * limits.max_pixels:
                raise InvalidPicture(f"{scans} scans are too many for so large a JPEG; save it without progression")
        orientation = _orientation(image, content)
        if image.format != _MULTI_PICTURE_JPEG and _has_second_frame(image):
            raise InvalidPicture("the picture has several frames or pages; send each as a picture of its own")
    if orientation >= 5:  # noqa: PLR2004  (EXIF orientations 5 to 8 are turned by 90 degrees)
        width_px, height_px = height_px, width_px
    return Picture(
        content=content,
        format=PictureFormat.JPEG if image.format == _MULTI_PICTURE_JPEG else PictureFormat(image.format),
        width_px=width_px,
        height_px=height_px,
        turned=orientation != 1,
    )


@contextmanager
def _hostile_content() -> Iterator[None]:
    """Decoders raise nearly anything on hostile content; all of it means the picture is damaged."""
    try:
        yield
    except FacetError:
        raise
    except Exception as error:
        raise InvalidPicture(_DAMAGED) from error


def _open(content: bytes) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, checked in open_picture: Pillow's would only warn
    if content[:4] == b"GIF8":
        raise UnsupportedFormat(f"GIF is not accepted, animated or not; send each frame as one of {ACCEPTED}")
    try:
        return Image.open(io.BytesIO(content), formats=_DECODERS)
    except UnidentifiedImageError as error:
        if any(begins(content[:16]) for _, begins in (Image.OPEN[name] for name in _DECODERS) if begins):
            raise InvalidPicture(_DAMAGED) from error
        raise UnsupportedFormat(f"the content is not a picture that is accepted; send one of {ACCEPTED}") from error


def _has_second_frame(image: Image.Image) -> bool:
    try:  # Pillow's `n_frames` would walk through all pages of a TIFF, of which hostile ones have hundreds of thousands
        image.seek(1)
    except EOFError:
        return False
    return True


def _orientation(image: Image.Image, content: bytes) -> int:
    if image.format == "TIFF":  # Pillow turns TIFF files itself, size included
        return 1
    if image.format == "PNG" and not any(chunk in content for chunk in _EXIF_IN_PNG):
        return 1  # Pillow would decode all of it to look for EXIF at its end
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001  (a damaged EXIF block says nothing about orientation)
        return 1
    return value if value in _TRANSPOSITIONS else 1


def _upright(image: Image.Image, content: bytes) -> Image.Image:
    orientation = _orientation(image, content)
    info = image.info
    image.load()
    if "transparency" in info and image.mode in ("P", "RGB", "L", "1"):
        image = image.convert("LA" if image.mode in ("L", "1") else "RGBA")
    elif image.mode in _CONVERTED_MODES:
        image = image.convert(_CONVERTED_MODES[image.mode])
    elif image.mode in _DEEP_GREY_MODES and image.mode != "I;16":
        image = image.convert("I;16")
    if orientation in _TRANSPOSITIONS:
        image = image.transpose(_TRANSPOSITIONS[orientation])
    image.info = info
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
