"""Hides regions of a decoded picture in place; pixels outside the regions are not touched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from services.anonymizer.regions import Cutout, Region, Shape, cut_out
from services.anonymizer.styles import Mosaic, Pixels, Style
from services.chassis.errors import InvalidRequest

DEFAULT_MARGIN = 0.3
DEFAULT_STRENGTH = 0.5
MAX_MARGIN = 2.0

# A pixel of each mode that Picture.image() answers.
_OPAQUE_BLACK = {
    "L": (0,),
    "LA": (0, 255),
    "RGB": (0, 0, 0),
    "RGBA": (0, 0, 0, 255),
    "CMYK": (0, 0, 0, 255),
    "I;16": (0,),
}
_OUTLINE: dict[str, int | tuple[int, ...]] = {
    "L": 255,
    "LA": (255, 255),
    "RGB": (0, 230, 118),
    "RGBA": (0, 230, 118, 255),
    "CMYK": (255, 0, 137, 25),
    "I;16": 65535,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """How to hide.

    Raises:
        InvalidRequest: A value is out of range.
    """

    style: Style = Mosaic(strength=DEFAULT_STRENGTH)  # noqa: RUF009  (frozen, so one can be shared)
    shape: Shape = Shape.ELLIPSE
    margin: float = DEFAULT_MARGIN
    """How far a region reaches beyond the box on each side, as a share of the box; 0 to 2."""
    outline: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.margin) and 0 <= self.margin <= MAX_MARGIN):
            raise InvalidRequest(f"margin must be between 0 and {MAX_MARGIN}")


def redact(image: Image.Image, regions: Sequence[Region], redaction: Redaction) -> int:
    """Hides every region in `image` and returns how many touched the picture.

    Raises:
        InvalidRequest: A region is absurdly far outside the picture.
    """
    cutouts = [
        cutout
        for region in regions
        if (
            cutout := cut_out(
                region,
                shape=redaction.shape,
                margin=redaction.margin,
                width_px=image.width,
                height_px=image.height,
            )
        )
    ]
    for cutout in cutouts:
        _hide(image, cutout, redaction.style)
    if redaction.outline:
        draw = ImageDraw.Draw(image)
        for cutout in cutouts:
            draw.rectangle(
                (cutout.left, cutout.top, cutout.right - 1, cutout.bottom - 1),
                outline=_OUTLINE[image.mode],
                width=max(2, max(image.size) // 400),
            )
    return len(cutouts)


def _hide(image: Image.Image, cutout: Cutout, style: Style) -> None:
    context = style.context_px(cutout.face_px)
    left, top = max(0, cutout.left - context), max(0, cutout.top - context)
    box = (left, top, min(image.width, cutout.right + context), min(image.height, cutout.bottom + context))
    pixels: Pixels = np.asarray(image.crop(box))
    opaque_black: Pixels = np.array(_OPAQUE_BLACK[image.mode], pixels.dtype)
    rendered = style.render(pixels, face_px=cutout.face_px, opaque_black=opaque_black)
    hidden = np.s_[cutout.top - top : cutout.bottom - top, cutout.left - left : cutout.right - left]
    mask = cutout.mask if pixels.ndim == 2 else cutout.mask[..., None]  # noqa: PLR2004
    result = np.where(mask, rendered[hidden], pixels[hidden])
    size = (cutout.right - cutout.left, cutout.bottom - cutout.top)
    image.paste(Image.frombytes(image.mode, size, result.tobytes()), (cutout.left, cutout.top))
