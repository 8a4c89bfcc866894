"""The outline of what is hidden: a face's box grown by a margin, as a turned ellipse or an upright box."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

import cv2
import numpy as np
from numpy.typing import NDArray

from services.chassis.errors import InvalidRequest
from services.chassis.geometry import Box, LandmarkType, Point

Mask = NDArray[np.bool_]  # H x W, True = hidden

MAX_REACH = 4.0
"""A box may reach so many times the picture's longer side beyond its borders; further is a mistake."""
_FRACTION_BITS = 4  # cv2's fixed-point coordinates: sixteenths of a pixel


class Shape(Enum):
    """The outline of a hidden region."""

    ELLIPSE = auto()
    BOX = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A face to hide, pixels of the upright picture."""

    box: Box
    landmarks: Mapping[LandmarkType, Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """The part of a picture that a region touches, and which of its pixels are hidden."""

    left: int
    top: int
    mask: Mask
    """H x W of the part."""
    face_px: float
    """Longer side of the face's box: what styles are relative to."""

    @property
    def right(self) -> int:
        """Exclusive."""
        return self.left + int(self.mask.shape[1])

    @property
    def bottom(self) -> int:
        """Exclusive."""
        return self.top + int(self.mask.shape[0])


def cut_out(region: Region, *, shape: Shape, margin: float, width_px: int, height_px: int) -> Cutout | None:
    """The region's cutout in a picture of that size; None where it lies outside.

    The ellipse is centred on the box and has the box's width and height plus `margin` times these on each side. With
    both eyes known it is turned along the line between them, and reaches as far along and across that line as the
    upright ellipse does, so that turning never uncovers the face.

    Raises:
        InvalidRequest: The box is absurdly far outside the picture.
    """
    box, reach = region.box, MAX_REACH * max(width_px, height_px)
    if min(box.x_min, box.y_min) < -reach or box.x_max > width_px + reach or box.y_max > height_px + reach:
        raise InvalidRequest(f"a region reaches too far beyond the {width_px} x {height_px} pixels of the picture")
    half_width, half_height = box.width * (0.5 + margin), box.height * (0.5 + margin)
    angle = _eye_line_angle(region.landmarks) if shape is Shape.ELLIPSE else 0.0
    along = math.hypot(half_width * math.cos(angle), half_height * math.sin(angle))
    across = math.hypot(half_width * math.sin(angle), half_height * math.cos(angle))
    reach_x = math.hypot(along * math.cos(angle), across * math.sin(angle))
    reach_y = math.hypot(along * math.sin(angle), across * math.cos(angle))

    center = box.center
    left, right = max(0, math.floor(center.x - reach_x)), min(width_px, math.ceil(center.x + reach_x))
    top, bottom = max(0, math.floor(center.y - reach_y)), min(height_px, math.ceil(center.y + reach_y))
    if left >= right or top >= bottom:
        return None
    mask = np.ones((bottom - top, right - left), np.uint8)
    if shape is Shape.ELLIPSE:
        mask[:] = 0
        cv2.ellipse(
            mask,
            center=(_fixed(center.x - left - 0.5), _fixed(center.y - top - 0.5)),
            axes=(_fixed(along + 0.5), _fixed(across + 0.5)),  # half a pixel more: every touched pixel is hidden
            angle=math.degrees(angle),
            startAngle=0,
            endAngle=360,
            color=1,
            thickness=cv2.FILLED,
            shift=_FRACTION_BITS,
        )
    return Cutout(left=left, top=top, mask=mask.astype(bool), face_px=max(box.width, box.height))


def _eye_line_angle(landmarks: Mapping[LandmarkType, Point]) -> float:
    """Radians from the x axis to the line between the eyes; 0 where an eye is missing."""
    left, right = landmarks.get(LandmarkType.LEFT_EYE), landmarks.get(LandmarkType.RIGHT_EYE)
    if left is None or right is None:
        return 0.0
    return math.atan2(right.y - left.y, right.x - left.x)


def _fixed(value: float) -> int:
    return round(value * (1 << _FRACTION_BITS))
